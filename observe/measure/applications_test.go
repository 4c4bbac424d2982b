package measure

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// scraperOf returns a scraper of what a handler answers.
func scraperOf(t *testing.T, h http.HandlerFunc) (*scraper, *record, *strings.Builder) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	r := newRecord(t)
	r.foreign = func(name string) bool { return !strings.HasPrefix(name, "rhumb_") }
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	as := newApplications(newRoster(nil, log), r, log)
	rep := rhumb.Replica{ID: "a", Stack: "shop", Service: "web", Release: 3, Slot: 1}
	return &scraper{place: place{replica: "a", addr: netip.MustParseAddrPort(server.Listener.Addr().String()),
		scrape: rhumb.Scrape{Path: "/metrics", Every: 5 * time.Second}}, labels: labelsOf(&rep),
		board: newBoard(r, log), client: as.client, spent: &as.spent, log: log}, r, &out
}

// answer returns a handler that answers a text.
func answer(text *string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, *text) }
}

const webLabels = `release="3",replica="shop-web.3.1",service="web",stack="shop"`

func TestAnApplicationsMetricsAreRead(t *testing.T) {
	text := `# HELP jobs_total Jobs.
# TYPE jobs_total counter
jobs_total{queue="mail \"x\"",stack="own",empty=""} 3 1395066363000
# TYPE latency histogram
latency_bucket{le="0.5"} 1
latency_bucket{le="+Inf"} 2

temperature -3.5e2
strange{service="a",exported_service="b"} +Inf
rhumb_replica_up{stack="other"} 1
temperature 4
`
	s, r, _ := scraperOf(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet || q.URL.RequestURI() != "/metrics?all=1" ||
			!strings.HasPrefix(q.Header.Get("Accept"), "text/plain") {
			t.Errorf("asked for %s %s, %v", q.Method, q.URL, q.Header)
		}
		fmt.Fprint(w, text)
	})
	s.scrape.Path = "metrics?all=1"
	s.sample(t.Context(), noon)
	delete(r.values, "strange{exported_exported_service=\"a\",exported_service=\"b\","+webLabels+"}")
	r.is("", map[string]float64{
		"rhumb_scrape_up{" + webLabels + "}": 1, "rhumb_scrape_samples{" + webLabels + "}": 6,
		`jobs_total{exported_stack="own",queue="mail \"x\"",` + webLabels + "}": 3,
		`latency_bucket{le="0.5",` + webLabels + "}":                            1,
		`latency_bucket{le="+Inf",` + webLabels + "}":                           2,
		"temperature{" + webLabels + "}":                                        -350,
	})
}

func TestSeriesOfAFailedScrapeEnd(t *testing.T) {
	text := "a 1\nb 2\n"
	s, r, out := scraperOf(t, answer(&text))
	for i, c := range []struct {
		text    string
		up, all int
	}{
		{"a 1\nb 2\n", 1, 4}, {"a 1\nc 2\n", 1, 4}, {"a 1\n<html>\n", 0, 2}, {"x{a=\"1\",a=\"2\"} 1\n", 0, 2}, {"", 1, 2},
		{"a 1\n", 1, 3},
	} {
		text = c.text
		s.sample(t.Context(), noon.Add(time.Duration(i)*time.Second))
		all := r.now("")
		if len(all) != c.all || all["rhumb_scrape_up{"+webLabels+"}"] != float64(c.up) || s.known != int64(c.all) {
			t.Errorf("%q: %v, %d known", text, all, s.known)
		}
	}
	if strings.Count(out.String(), "not read") != 1 || strings.Count(out.String(), "read again") != 1 {
		t.Error(out.String())
	}
	s.account(0)
	if n, b := s.spent.series.Load(), s.spent.bytes.Load(); n != 0 || b != 0 {
		t.Errorf("left: %d series, %d bytes", n, b)
	}
}

func TestAnAnswerHasLimits(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a%d 1\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		text, want string
		samples    int
	}{
		"as many series as allowed":     {many(maxSeries), "", maxSeries},
		"one more":                      {many(maxSeries + 1), "more than 20000 series", 0},
		"too long":                      {strings.Repeat("# a comment\n", maxAnswer/12+1), "larger than 10 MB", 0},
		"ten million blank lines":       {strings.Repeat("\n", maxAnswer-4) + "a 1\n", "", 1},
		"blank lines that aren't empty": {strings.Repeat(" \n\t\n", 2_000_000) + "a 1\n", "", 1},
	} {
		s, _, _ := scraperOf(t, http.NotFound)
		body, err := s.body(strings.NewReader(c.text))
		n := 0
		if err == nil {
			n, err = s.parse(body, "text/plain")
		}
		failed := err != nil && c.want != "" && strings.Contains(err.Error(), c.want)
		if !failed && (err != nil || c.want != "" || n != c.samples) {
			t.Errorf("%s: %d samples, %v", name, n, err)
		}
		if got := s.spent.bytes.Load(); got != int64(cap(body)) || got > 2*maxAnswer {
			t.Errorf("%s: %d bytes are spent, %d are held", name, got, cap(body))
		}
	}
}

func TestAllApplicationsTogetherHaveLimits(t *testing.T) {
	text := "a 1\nb 1\n"
	s, _, out := scraperOf(t, answer(&text))
	s.spent.series.Store(maxAllSeries - 1)
	s.sample(t.Context(), noon)
	if !strings.Contains(out.String(), "more than 100000 series") {
		t.Error(out)
	}
	s, _, out = scraperOf(t, answer(&text))
	s.spent.bytes.Store(maxReading)
	s.sample(t.Context(), noon)
	if !strings.Contains(out.String(), "larger than 64 MB") || s.spent.bytes.Load() != maxReading {
		t.Error(out, s.spent.bytes.Load())
	}
}

func TestAWrongAnswerIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"not found": {http.NotFound, "404"},
		"elsewhere": {http.RedirectHandler("/other", http.StatusFound).ServeHTTP, "302"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "a 1\n")
		}, "unexpected EOF"},
	} {
		s, r, out := scraperOf(t, c.h)
		s.sample(t.Context(), noon)
		r.is("", map[string]float64{"rhumb_scrape_up{" + webLabels + "}": 0, "rhumb_scrape_samples{" + webLabels + "}": 0})
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: %s", name, out)
		}
	}
	s, r, out := scraperOf(t, http.NotFound)
	s.addr = netip.AddrPort{}
	s.sample(t.Context(), noon)
	if !strings.Contains(out.String(), "no address") || r.now("rhumb_scrape_up")["rhumb_scrape_up{"+webLabels+"}"] != 0 {
		t.Error(out)
	}
}

func TestAnApplicationThatHangsIsGivenUp(t *testing.T) {
	ended := make(chan struct{})
	s, r, _ := scraperOf(t, func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprint(w, "a 1\n")
		w.(http.Flusher).Flush()
		<-q.Context().Done()
		close(ended)
	})
	s.scrape.Every = 50 * time.Millisecond // also the deadline
	s.sample(t.Context(), noon)
	<-ended
	r.is("", map[string]float64{"rhumb_scrape_up{" + webLabels + "}": 0, "rhumb_scrape_samples{" + webLabels + "}": 0})
}

func TestOpenMetricsAreReadToo(t *testing.T) {
	s, r, out := scraperOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
		fmt.Fprint(w, "# TYPE a counter\na_total 17.0 # {trace=\"x\"} 0.5\n# EOF\n")
	})
	s.sample(t.Context(), noon)
	if got := r.now("a_total"); len(got) != 1 || got["a_total{"+webLabels+"}"] != 17 {
		t.Errorf("%v; %s", got, out)
	}
}

func TestReplicasAreReadWhileTheyRun(t *testing.T) {
	text := "a 1\n"
	s, r, _ := scraperOf(t, answer(&text))
	ro := newRoster(nil, quiet())
	as := newApplications(ro, r, quiet())
	list := func(states ...rhumb.ReplicaState) {
		var l listing
		for i, state := range states {
			rep := rhumb.Replica{ID: decimal(i), Stack: "shop", Service: "web", Release: 3, Slot: i + 1, State: state,
				Addrs: map[string]netip.Addr{"b": netip.MustParseAddr("203.0.113.1"), "a": s.addr.Addr()}}
			l.replicas = append(l.replicas, placed{Replica: rep, labels: labelsOf(&rep)})
		}
		ro.set(l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		as.run(ctx)
	}()
	list(rhumb.StateRunning, rhumb.StateRunning, rhumb.StateExited)
	as.set(map[string]map[string]rhumb.Scrape{"shop": {"web": {Port: s.addr.Port(), Path: "/", Every: 1}}})
	within(t, "both are read", func() bool { return len(r.now("a{")) == 2 })
	list(rhumb.StateRunning, rhumb.StateExited, rhumb.StateExited)
	within(t, "the series of the dead one have ended", func() bool { return len(r.now("")) == 3 })
	as.set(nil)
	within(t, "all series have ended", func() bool { return len(r.now("")) == 0 })
	cancel()
	<-ended
	if n := as.spent.series.Load(); n != 0 {
		t.Errorf("%d series are left", n)
	}
}

func TestAddressesOfReplicas(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.1.1")
	all := []placed{
		{Replica: rhumb.Replica{ID: "two", Addrs: map[string]netip.Addr{"z": b, "a": a}}},
		{Replica: rhumb.Replica{ID: "joined", Joined: "two"}, process: rhumb.ReplicaProcess{PID: 5}},
		{Replica: rhumb.Replica{ID: "host"}, process: rhumb.ReplicaProcess{PID: 5}},
		{Replica: rhumb.Replica{ID: "none"}, process: rhumb.ReplicaProcess{PID: 5, Network: true}},
		{Replica: rhumb.Replica{ID: "unknown"}},
		{Replica: rhumb.Replica{ID: "widow", Joined: "gone"}, process: rhumb.ReplicaProcess{PID: 5}},
	}
	for i, want := range []netip.Addr{a, a, netip.MustParseAddr("127.0.0.1"), {}, {}, {}} {
		if got := addressOf(&all[i], all); got != want {
			t.Errorf("%s: %v, want %v", all[i].ID, got, want)
		}
	}
}

func TestScrapesAreSpreadOverTime(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	tenths := map[time.Duration]int{}
	for range 1000 {
		id := fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())
		at := nextScrape(noon, id, 15*time.Second)
		if at.Before(noon) || at.Sub(noon) > 15*time.Second {
			t.Fatalf("%s is read at %v", id, at)
		}
		if again := nextScrape(at, id, 15*time.Second); again.Sub(at) != 15*time.Second {
			t.Fatalf("%s is read at %v, and then at %v", id, at, again)
		}
		tenths[at.Sub(noon)/(1500*time.Millisecond)]++
	}
	for tenth, n := range tenths {
		if n < 40 || n > 200 {
			t.Errorf("%d of 1000 in the tenth %d", n, tenth)
		}
	}
}

// within waits until something is true.
func within(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !true(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func FuzzAnswersOfApplications(f *testing.F) {
	f.Add([]byte("a{stack=\"x\",exported_stack=\"y\"} 1\n"), false)
	f.Add([]byte("# TYPE a counter\na_total 1\n# EOF\n"), true)
	f.Add([]byte("{\"a b\",\"c d\"=\"e\"} NaN 1\n \n\t"), false)
	f.Fuzz(func(t *testing.T, body []byte, open bool) {
		r := newRecord(t)
		r.foreign = func(name string) bool { return !strings.HasPrefix(name, reserved) }
		rep := rhumb.Replica{ID: "a", Stack: "shop", Service: "web", Release: 3, Slot: 1}
		s := &scraper{labels: labelsOf(&rep), board: newBoard(r, quiet()), spent: &spent{}}
		kind := "text/plain"
		if open {
			kind = "application/openmetrics-text"
		}
		n, err := s.parse(body, kind)
		if err == nil && len(s.board.samples) > n {
			t.Errorf("%d samples, and %d are known", len(s.board.samples), n)
		}
		for _, sample := range s.board.samples {
			names := map[string]int{}
			for _, l := range sample.Series.Labels {
				names[l.Name]++
			}
			for name, n := range names {
				if n > 1 {
					t.Errorf("%s has two labels %q", text(sample.Series), name)
				}
			}
			for i := 0; i < len(s.labels); i += 2 {
				if names[s.labels[i]] != 1 {
					t.Errorf("%s lacks %s", text(sample.Series), s.labels[i])
				}
			}
		}
	})
}
