package proxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"rhumb"
	"rhumb/proxy"
)

// watcher finds attacks: the word "evil" anywhere in a request, unless rule 942100 is left out.
type watcher struct {
	mu     sync.Mutex
	needed bool
	away   bool
	asked  []rhumb.Inspection
}

func (*watcher) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (w *watcher) Need(_ context.Context, needed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.needed = needed
}

func (w *watcher) Inspect(_ context.Context, i *rhumb.Inspection) (rhumb.Finding, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := *i // its texts are only there until this returns
	c.Body, c.Target, c.Method = bytes.Clone(i.Body), strings.Clone(i.Target), strings.Clone(i.Method)
	c.Fields = nil
	for _, f := range i.Fields {
		c.Fields = append(c.Fields, rhumb.HeaderField{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)})
	}
	w.asked = append(w.asked, c)
	if w.away {
		return rhumb.Finding{}, rhumb.Errorf(rhumb.Unavailable, "away")
	}
	all := fmt.Sprint(i.Target, i.Fields, string(i.Body))
	if strings.Contains(all, "evil") && !slices.Contains(i.Without, 942100) {
		return rhumb.Finding{Attack: true, Score: 5,
			Rules: []rhumb.WAFMatch{{ID: 942100, Text: "SQL", Where: "ARGS:q"}}}, nil
	}
	return rhumb.Finding{}, nil
}

func (w *watcher) last() rhumb.Inspection {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) == 0 {
		return rhumb.Inspection{}
	}
	return w.asked[len(w.asked)-1]
}

func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// lines collects an access log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(b))
	return len(b), nil
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Join(l.all, "\n")
	l.all = nil
	return all
}

func wafOptions(mode rhumb.WAFMode) *rhumb.RouteOptions {
	return &rhumb.RouteOptions{WAF: &rhumb.WAF{Mode: mode, Paranoia: 2, Score: 7, Body: 20,
		Exclude: []rhumb.WAFExclusion{{Path: "/files"}, {Path: "/forum", Rules: []int{942100}}}}}
}

// echoBody is a replica that answers with the body of the request.
func echoBody(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %v %s", len(b), err, b)
}

// watched starts a proxy whose route has requests looked at.
func watched(t *testing.T, o proxy.Options, ro *rhumb.RouteOptions) (netip.AddrPort, *watcher, *lines) {
	t.Helper()
	w, l := &watcher{}, &lines{}
	o.WAF, o.Access = w, l
	return optioned(t, o, "", ro, echoBody), w, l
}

func TestAttacksAreLoggedOrRefused(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		for mode, want := range map[rhumb.WAFMode]int{rhumb.WAFDetect: 200, rhumb.WAFBlock: 403} {
			word := string(mode) + "ed"
			addr, w, l := watched(t, o, wafOptions(mode))
			if r, _ := answerOf(t, addr, "GET", "/a?b"); r.StatusCode != 200 || l.take() != "" {
				t.Errorf("%s: a harmless request: %d, logged %q", mode, r.StatusCode, l.take())
			}
			i := w.last()
			if i.Target != "/a?b" || i.Method != "GET" || i.Host != "a.test" || i.Paranoia != 2 || i.Score != 7 ||
				i.Proto != "HTTP/1.1" || i.Client.String() != "127.0.0.1" || i.Partial {
				t.Errorf("%s: asked %+v", mode, i)
			}
			for what, send := range map[string]func() int{
				"a query": func() int { r, _ := answerOf(t, addr, "GET", "/a?evil"); return r.StatusCode },
				"a field": func() int { r, _ := answerOf(t, addr, "GET", "/a", "Cookie: evil"); return r.StatusCode },
				"a body":  func() int { r, _ := answerWith(t, addr, "POST", "/a", "evil"); return r.StatusCode },
			} {
				if got := send(); got != want {
					t.Errorf("%s: %s: %d", mode, what, got)
				}
				eventually(t, "a line is written", func() bool {
					line := l.take()
					return strings.Contains(line, `"waf":"`+word) && strings.Contains(line, `"waf_rules":"942100"`) &&
						strings.Contains(line, `"level":"warn"`) && strings.Contains(line, `"service":"web"`)
				})
			}
		}
	})
}

func TestNothingToLookWithPassesOrRefuses(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		for mode, want := range map[rhumb.WAFMode]int{rhumb.WAFDetect: 200, rhumb.WAFBlock: 503} {
			addr, w, l := watched(t, o, wafOptions(mode))
			w.mu.Lock()
			w.away = true
			w.mu.Unlock()
			r, body := answerWith(t, addr, "POST", "/a", "evil")
			if r.StatusCode != want || want == 503 && r.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %d %s", mode, r.StatusCode, body)
			}
			eventually(t, "a line is written", func() bool { return strings.Contains(l.take(), `"waf":"unseen"`) })
		}
		addr := optioned(t, o, "", wafOptions(rhumb.WAFBlock), echoBody)
		if r, _ := answerOf(t, addr, "GET", "/"); r.StatusCode != 503 {
			t.Errorf("a proxy without anything to look with: %d", r.StatusCode)
		}
	})
}

func TestWhatIsLeftOutIsNotLookedAt(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		addr, w, _ := watched(t, o, wafOptions(rhumb.WAFBlock))
		for uri, want := range map[string]int{"/files/evil": 200, "/files": 200, "/forum?evil": 200, "/forum/x?evil": 200,
			"/filesevil": 403, "/files/../a?evil": 403, "/files/%2e%2e/a?evil": 403, "/forum/..%2fa?evil": 403,
			"/forum/..;/a?evil": 403, "/FILES/evil": 403, "/files//evil": 403} {
			before := w.count()
			r, _ := answerOf(t, addr, "GET", uri)
			skipped := strings.HasPrefix(uri, "/files") && want == 200
			if looked := w.count() > before; r.StatusCode != want || looked == skipped {
				t.Errorf("%s: %d, looked at: %t", uri, r.StatusCode, looked)
			}
		}
	})
}

func TestBodiesArriveWholeAfterTheirStartWasLookedAt(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		addr, w, _ := watched(t, o, wafOptions(rhumb.WAFBlock))
		for _, n := range []int{1, 19, 20, 21, 8 << 10, 8<<10 + 1, 100 << 10, 3 << 20} {
			body := strings.Repeat("x", n)
			for _, coding := range []string{"", "chunked"} {
				r, got := sent(t, addr, body, coding, false)
				want := fmt.Sprintf("%d <nil> %s", n, body)
				if r.StatusCode != 200 || got != want {
					t.Errorf("%d bytes %s: %d, %d bytes: %.40s", n, coding, r.StatusCode, len(got), got)
				}
				if i := w.last(); len(i.Body) != min(n, 20) || i.Partial != (n > 20) {
					t.Errorf("%d bytes %s: looked at %d, partial: %t", n, coding, len(i.Body), i.Partial)
				}
			}
			if r, got := sent(t, addr, body, "", true); r.StatusCode != 200 || !strings.HasPrefix(got, fmt.Sprint(n, " ")) {
				t.Errorf("%d bytes after 100 Continue: %d %.40s", n, r.StatusCode, got)
			}
		}
	})
}

// sent posts a body on a connection of its own.
func sent(t *testing.T, addr netip.AddrPort, body, coding string, expect bool) (*http.Response, string) {
	t.Helper()
	var in io.Reader = strings.NewReader(body)
	if coding != "" {
		in = io.MultiReader(in) // of an unknown length
	}
	r, err := http.NewRequest("POST", "http://"+addr.String()+"/a", in)
	if err != nil {
		t.Fatal(err)
	}
	if expect {
		r.Header.Set("Expect", "100-continue")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 1 << 40}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(b)
}

func TestABodyThatIsTooLargeToBeLookedAtCanBeRefused(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		ro := wafOptions(rhumb.WAFBlock)
		ro.WAF.Refuse = true
		addr, _, _ := watched(t, o, ro)
		for n, want := range map[int]int{20: 200, 21: 403, 100 << 10: 403} {
			if r, _ := answerWith(t, addr, "POST", "/a", strings.Repeat("x", n)); r.StatusCode != want {
				t.Errorf("%d bytes: %d", n, r.StatusCode)
			}
		}
	})
}

func TestAConnectionServesOnAfterItsRequestWasLookedAt(t *testing.T) {
	onBothPaths(t, func(t *testing.T, o proxy.Options) {
		addr, _, _ := watched(t, o, wafOptions(rhumb.WAFBlock))
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
		defer client.CloseIdleConnections()
		for _, body := range []string{"fine", "evil", strings.Repeat("y", 50), "evil", "fine"} {
			r, err := client.Post("http://"+addr.String()+"/a", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if r.StatusCode == 200 != (body != "evil") || r.StatusCode == 200 && !strings.HasSuffix(string(b), body) {
				t.Errorf("%.10s: %d %s", body, r.StatusCode, b)
			}
		}
	})
}

func TestRequestsNeedLookingAtOnlyIfTheTableSaysSo(t *testing.T) {
	w := &watcher{}
	p := start(t, proxy.Options{WAF: w})
	addr := freeAddr(t)
	for i, ro := range []*rhumb.RouteOptions{{Compress: true}, wafOptions(rhumb.WAFDetect), {Compress: true}} {
		apply(t, p, routed(uint64(i+1), addr, "", ro, web(t, "a", nil)))
		w.mu.Lock()
		if w.needed != (ro.WAF != nil) {
			t.Errorf("table %d: needed is %t", i+1, w.needed)
		}
		w.mu.Unlock()
		before := w.count()
		answerOf(t, addr, "GET", "/")
		if looked := w.count() > before; looked != (ro.WAF != nil) {
			t.Errorf("table %d: looked at: %t", i+1, looked)
		}
	}
}
