package control

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/release"
	"rhumb/rollout"
)

// readiness knows which of a stack's replicas are ready, and finds it out by probing them.
type readiness struct {
	mu      sync.Mutex
	ready   map[string]time.Time
	probing map[string]context.CancelFunc
	output  map[string]string // what the last failing probe said
	noted   map[string]bool   // failures that are written down
	work    sync.WaitGroup
}

func newReadiness() *readiness {
	return &readiness{ready: map[string]time.Time{}, probing: map[string]context.CancelFunc{}, output: map[string]string{}, noted: map[string]bool{}}
}

// The next probe is made after a 25th of the time since the start, within these bounds: soon for what is quick, seldom
// for what is slow, and late by a few hundredths at most.
const (
	probeSoonest = 10 * time.Millisecond
	probeLatest  = 250 * time.Millisecond
	probeTimeout = 2 * time.Second
)

// since gives the replicas that are ready, and forgets those that are gone. A running replica that gets requests
// already, or that the engine's own check calls healthy, is ready without a probe of ours: so a daemon that starts
// anew finds things as they are.
func (y *readiness) since(o rollout.Observed) map[string]time.Time {
	y.mu.Lock()
	defer y.mu.Unlock()
	here := map[string]bool{}
	for _, rep := range o.Replicas {
		here[rep.ID] = true
		rt, routed := o.Routes[rep.ID]
		_, known := y.ready[rep.ID]
		switch {
		case !rep.Alive() || rep.Health == rhumb.HealthUnhealthy:
			delete(y.ready, rep.ID)
			if stop := y.probing[rep.ID]; stop != nil {
				stop()
			}
		case known:
		case routed && !rt.Draining:
			y.ready[rep.ID] = rep.Started
		case rep.Health == rhumb.HealthHealthy:
			y.ready[rep.ID] = time.Now()
		}
	}
	for _, m := range []map[string]bool{y.noted} {
		maps.DeleteFunc(m, func(id string, _ bool) bool { return !here[id] })
	}
	maps.DeleteFunc(y.ready, func(id string, _ time.Time) bool { return !here[id] })
	maps.DeleteFunc(y.output, func(id string, _ string) bool { return !here[id] })
	for id, stop := range y.probing {
		if !here[id] {
			stop()
		}
	}
	return maps.Clone(y.ready)
}

// said gives the output of a replica's last failing probe.
func (y *readiness) said(id string) string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.output[id]
}

func (y *readiness) recorded(id string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if id != "" {
		y.noted[id] = true
	}
}

func (y *readiness) recordedIDs() map[string]bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return maps.Clone(y.noted)
}

// stop ends all probes and waits for them.
func (y *readiness) stop() {
	y.mu.Lock()
	for _, stop := range y.probing {
		stop()
	}
	y.mu.Unlock()
	y.work.Wait()
}

// prober is one way to ask a replica whether it is ready.
type prober func(ctx context.Context) error

// probe begins to probe the replicas that run and aren't ready yet.
func (r *runner) probe(ctx context.Context, g *goal, o rollout.Observed) {
	for _, rep := range o.Replicas {
		if _, ready := o.Ready[rep.ID]; ready || rep.State != rhumb.StateRunning || rep.Slot == 0 {
			continue
		}
		s, _ := g.definition(rep)
		if s == nil {
			continue
		}
		if at, has := o.PostStart[rep.ID]; has && at.IsZero() {
			if !o.Recorded[rep.ID] && !o.Stopping[rep.ID] {
				r.ready.once(ctx, rep.ID, func(ctx context.Context) { r.greet(ctx, g, rep, s) }, r.Wake)
			}
			continue
		}
		if p, pace := r.prober(g, rep, s); p != nil {
			r.ready.start(ctx, rep, p, pace, r.Wake)
		}
	}
}

// prober gives the way in which a service's replica is asked, and how long to wait before the next time given how
// long it has run; nil if it isn't asked.
func (r *runner) prober(g *goal, rep rhumb.Replica, s *rhumb.Service) (prober, func(ran, last time.Duration) time.Duration) {
	quick := func(ran, _ time.Duration) time.Duration { return min(max(ran/25, probeSoonest), probeLatest) }
	switch s.Ready.Kind {
	case rhumb.ReadyTCP, rhumb.ReadyHTTP:
		at, err := g.address(rep)
		if err != nil {
			return nil, nil
		}
		addr := netip.AddrPortFrom(at, s.Ready.Port).String()
		if s.Ready.Kind == rhumb.ReadyTCP {
			return func(ctx context.Context) error { return dialOnce(ctx, addr) }, quick
		}
		return func(ctx context.Context) error { return askOnce(ctx, "http://"+addr+s.Ready.Path) }, quick
	case rhumb.ReadyHealth:
		check := release.WithDefaults(*s.Container.Health)
		grow := func(_, last time.Duration) time.Duration {
			return min(max(last*3/2, 100*time.Millisecond), check.Interval)
		}
		return func(ctx context.Context) error {
			select {
			case r.c.probes <- struct{}{}:
				defer func() { <-r.c.probes }()
			case <-ctx.Done():
				return ctx.Err()
			}
			return r.c.Engine.Probe(ctx, rep.ID, check)
		}, grow
	}
	return nil, nil
}

// start probes a replica until it is ready, unless that goes on already.
func (y *readiness) start(ctx context.Context, rep rhumb.Replica, p prober, pace func(ran, last time.Duration) time.Duration, wake func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.probing[rep.ID] != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	y.probing[rep.ID] = stop
	y.work.Go(func() {
		defer stop()
		err := y.until(ctx, rep, p, pace)
		y.mu.Lock()
		delete(y.probing, rep.ID)
		if err == nil {
			y.ready[rep.ID] = time.Now()
			delete(y.output, rep.ID)
		}
		y.mu.Unlock()
		wake()
	})
}

// once does something with a replica, unless something goes on with it already.
func (y *readiness) once(ctx context.Context, id string, do func(context.Context), wake func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.probing[id] != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	y.probing[id] = stop
	y.work.Go(func() {
		defer stop()
		do(ctx)
		y.mu.Lock()
		delete(y.probing, id)
		y.mu.Unlock()
		wake()
	})
}

func (y *readiness) until(ctx context.Context, rep rhumb.Replica, p prober, pace func(ran, last time.Duration) time.Duration) error {
	var wait time.Duration
	for {
		err := p(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		y.mu.Lock()
		y.output[rep.ID] = err.Error()
		y.mu.Unlock()
		wait = pace(time.Since(rep.Started), wait)
		pause(ctx, wait)
	}
}

func dialOnce(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// asking has no connections kept: a probe must not hold a replica's connections open.
var asking = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: probeTimeout, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func askOnce(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "rhumb-ready")
	res, err := asking.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("GET %s: %s", req.URL.Path, res.Status)
	}
	return nil
}
