package measure

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"rhumb"
)

// traffic measures what the proxy has counted.
type traffic struct {
	router Router
	roster *roster
	board  *board
	log    *slog.Logger
	misses int

	mu   sync.Mutex
	last process
}

// patience is for how many turns in a row the series of something that doesn't answer go on without samples. A proxy
// that hands over to its successor is soon back.
const patience = 6

// proxy returns the proxy's process as it last answered.
func (t *traffic) proxy() process {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

func (t *traffic) sample(ctx context.Context, at time.Time) {
	s, err := t.router.Status(ctx)
	if t.note(&s, err); err != nil {
		if t.misses >= patience {
			t.board.publish(ctx, at)
		}
		return
	}
	backends, routed := make(map[string]*rhumb.Backend, len(s.Table.Backends)), map[string]bool{}
	for i := range s.Table.Backends {
		b := &s.Table.Backends[i]
		backends[b.Name] = b
		for j := range b.Endpoints {
			routed[b.Endpoints[j].Replica] = true
		}
	}
	for name, stats := range s.Backends {
		if b := backends[name]; b != nil {
			t.backend(b, stats)
		}
	}
	for _, p := range t.roster.now().replicas {
		if n, ok := s.Open[p.ID]; ok || routed[p.ID] {
			t.board.set(float64(n), "rhumb_replica_open", p.labels...)
		}
	}
	t.board.set(float64(s.Bans.Active), "rhumb_bans_active")
	t.board.set(float64(s.Bans.Refused), "rhumb_banned_requests_total")
	for _, c := range s.Certificates {
		if !c.NotAfter.IsZero() {
			t.board.set(unixSeconds(c.NotAfter), "rhumb_certificate_expires_seconds", "host", c.Host)
		}
	}
	t.board.publish(ctx, at)
}

// note keeps whether the proxy answered, and what it said of its process.
func (t *traffic) note(s *rhumb.RouterStatus, err error) {
	t.mu.Lock()
	t.last.asked, t.last.up = true, err == nil
	if err == nil {
		t.last.pid, t.last.goroutines = s.PID, s.Goroutines
	}
	t.mu.Unlock()
	if err == nil {
		t.misses = 0
	} else if t.misses++; t.misses == 1 {
		t.log.Warn("the proxy's counters not read", "err", err)
	}
}

// backend measures one backend and its releases.
func (t *traffic) backend(b *rhumb.Backend, stats rhumb.BackendStats) {
	labels := append(serviceLabels(b.Stack, b.Service), "backend", b.Name)
	set := func(name string, v float64) { t.board.set(v, name, labels...) }
	set("rhumb_held_total", float64(stats.Held))
	set("rhumb_waiting", float64(stats.Waiting))
	set("rhumb_unserved_total", float64(stats.Unserved))
	set("rhumb_cut_total", float64(stats.Cut))
	if l := stats.Limits; l != nil {
		set("rhumb_limited_total", float64(l.Refused))
		set("rhumb_limits_observed_total", float64(l.Observed))
	}
	for number, r := range stats.Releases {
		t.release(append(labels, "release", decimal(number)), &r)
	}
}

// release measures the requests and connections of one release.
func (t *traffic) release(labels []string, r *rhumb.ReleaseStats) {
	set := func(name string, v float64) { t.board.set(v, name, labels...) }
	set("rhumb_requests_total", float64(r.Served+r.Failed))
	set("rhumb_request_errors_total", float64(r.Errors))
	set("rhumb_request_bytes_total", float64(r.Received))
	set("rhumb_response_bytes_total", float64(r.Sent))
	if r.Buckets == nil {
		return
	}
	sum := uint64(0)
	for i, n := range r.Buckets {
		sum += n
		le := "+Inf"
		if i < len(rhumb.LatencyBuckets) {
			le = bounds[i]
		}
		if i <= len(rhumb.LatencyBuckets) {
			t.board.set(float64(sum), "rhumb_request_duration_seconds_bucket", append(labels, "le", le)...)
		}
	}
	set("rhumb_request_duration_seconds_sum", r.Latency.Seconds())
	set("rhumb_request_duration_seconds_count", float64(sum))
}

// bounds are the values of the label le.
var bounds = func() (list [len(rhumb.LatencyBuckets)]string) {
	for i, d := range rhumb.LatencyBuckets {
		list[i] = strconv.FormatFloat(d.Seconds(), 'g', -1, 64)
	}
	return list
}()
