package measure

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// router answers what a test says.
type router struct {
	status rhumb.RouterStatus
	err    error
}

func (r *router) Status(context.Context) (rhumb.RouterStatus, error) { return r.status, r.err }

func TestTheProxysCountersAreMeasured(t *testing.T) {
	buckets := make([]uint64, len(rhumb.LatencyBuckets)+1)
	buckets[0], buckets[3], buckets[len(buckets)-1] = 5, 2, 1
	web := rhumb.Replica{ID: "a", Stack: "shop", Service: "web", Release: 3, Slot: 1}
	idle := rhumb.Replica{ID: "b", Stack: "shop", Service: "web", Release: 3, Slot: 2}
	db := rhumb.Replica{ID: "c", Stack: "shop", Service: "db", Release: 3, Slot: 1}
	ro := newRoster(nil, quiet())
	for _, r := range []rhumb.Replica{web, idle, db} {
		ro.listed.replicas = append(ro.listed.replicas, placed{Replica: r, labels: labelsOf(&r)})
	}
	p := &router{status: rhumb.RouterStatus{PID: 7, Goroutines: 8, Bans: rhumb.BanStatus{Active: 5, Refused: 6},
		Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "shop/web:8000", Stack: "shop", Service: "web",
			Endpoints: []rhumb.Endpoint{{Replica: "a"}, {Replica: "b"}}}}},
		Open: map[string]int{"a": 4, "unknown": 5},
		Backends: map[string]rhumb.BackendStats{
			"gone/web:80": {Held: 1},
			"shop/web:8000": {Held: 1, Waiting: 2, Unserved: 3, Cut: 4,
				Limits: &rhumb.LimitStats{Refused: 5, Observed: 6},
				Releases: map[int]rhumb.ReleaseStats{
					3: {Served: 8, Failed: 2, Errors: 3, Latency: 90 * time.Second, Buckets: buckets, Received: 10, Sent: 20},
					2: {Served: 1},
				}},
		},
		Certificates: []rhumb.CertificateStatus{{Host: "a.example.com", NotAfter: noon}, {Host: "none.example.com"}},
	}}
	r := newRecord(t)
	var out strings.Builder
	tr := &traffic{router: p, roster: ro, board: newBoard(r, quiet()), log: slog.New(slog.NewTextHandler(&out, nil))}
	tr.sample(t.Context(), noon)
	const labels = `backend="shop/web:8000",release="3",service="web",stack="shop"`
	bucket := func(le string) string {
		return `rhumb_request_duration_seconds_bucket{backend="shop/web:8000",le="` + le +
			`",release="3",service="web",stack="shop"}`
	}
	all := r.now("")
	for name, want := range map[string]float64{
		"rhumb_bans_active{}": 5, "rhumb_banned_requests_total{}": 6,
		"rhumb_requests_total{" + labels + "}": 10, "rhumb_request_errors_total{" + labels + "}": 3,
		"rhumb_request_bytes_total{" + labels + "}": 10, "rhumb_response_bytes_total{" + labels + "}": 20,
		"rhumb_request_duration_seconds_sum{" + labels + "}":   90,
		"rhumb_request_duration_seconds_count{" + labels + "}": 8,
		bucket("0.001"): 5, bucket("0.005"): 5, bucket("0.01"): 7, bucket("30"): 7, bucket("+Inf"): 8,
		`rhumb_requests_total{backend="shop/web:8000",release="2",service="web",stack="shop"}`: 1,
		`rhumb_held_total{backend="shop/web:8000",service="web",stack="shop"}`:                 1,
		`rhumb_waiting{backend="shop/web:8000",service="web",stack="shop"}`:                    2,
		`rhumb_unserved_total{backend="shop/web:8000",service="web",stack="shop"}`:             3,
		`rhumb_cut_total{backend="shop/web:8000",service="web",stack="shop"}`:                  4,
		`rhumb_limited_total{backend="shop/web:8000",service="web",stack="shop"}`:              5,
		`rhumb_limits_observed_total{backend="shop/web:8000",service="web",stack="shop"}`:      6,
		`rhumb_certificate_expires_seconds{host="a.example.com"}`:                              unixSeconds(noon),
		`rhumb_replica_open{release="3",replica="shop-web.3.1",service="web",stack="shop"}`:    4,
		`rhumb_replica_open{release="3",replica="shop-web.3.2",service="web",stack="shop"}`:    0,
	} {
		if got, ok := all[name]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
		}
	}
	if n := len(rhumb.LatencyBuckets) + 1 + 2 + 2*4 + 4 + 2 + 1 + 2 + 2; len(all) != n {
		t.Errorf("%d series, want %d: %v", len(all), n, all)
	}
	if got := tr.proxy(); got != (process{name: "", asked: true, up: true, pid: 7, goroutines: 8}) {
		t.Errorf("the process: %+v", got)
	}
	goAway(t, tr, p, r, &out)
}

// goAway makes the proxy unreachable: its series go on for a while, and then end.
func goAway(t *testing.T, tr *traffic, p *router, r *record, out *strings.Builder) {
	t.Helper()
	n := len(r.now(""))
	p.err = errors.New("away")
	for i := 1; i < patience; i++ {
		tr.sample(t.Context(), noon.Add(time.Duration(i)*time.Second))
	}
	if got := len(r.now("")); got != n || tr.proxy().up {
		t.Errorf("%d series of %d are left; %+v", got, n, tr.proxy())
	}
	tr.sample(t.Context(), noon.Add(time.Minute))
	tr.sample(t.Context(), noon.Add(2*time.Minute))
	if got := r.now(""); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if strings.Count(out.String(), "not read") != 1 {
		t.Error(out.String())
	}
	p.err = nil
	tr.sample(t.Context(), noon.Add(3*time.Minute))
	if got := len(r.now("")); got != n {
		t.Errorf("%d series of %d came back", got, n)
	}
}

func TestABackendThatVanishedEnds(t *testing.T) {
	r := newRecord(t)
	p := &router{status: rhumb.RouterStatus{Backends: map[string]rhumb.BackendStats{"a/b:1": {}, "a/c:1": {}},
		Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "a/b:1", Stack: "a", Service: "b"},
			{Name: "a/c:1", Stack: "a", Service: "c"}}}}}
	tr := &traffic{router: p, roster: newRoster(nil, quiet()), board: newBoard(r, quiet()), log: quiet()}
	tr.sample(t.Context(), noon)
	p.status.Table.Backends = p.status.Table.Backends[1:]
	tr.sample(t.Context(), noon.Add(time.Second))
	r.is("rhumb_waiting", map[string]float64{`rhumb_waiting{backend="a/c:1",service="c",stack="a"}`: 0})
	if len(r.ended) != 4 {
		t.Errorf("ended: %v", r.ended)
	}
}
