package measure

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/pause"
)

// How often the daemon is asked.
const (
	stacksEvery   = 30 * time.Second // for the stacks, beside its events
	stacksPause   = time.Second      // at least, between two looks
	infoEvery     = time.Minute      // for the daemon itself
	daemonTimeout = 10 * time.Second
	retryDaemon   = 2 * time.Second
	// stacksFor is how long what the daemon last said counts.
	stacksFor = 5 * time.Minute
)

// stacks knows what the daemon last said of the stacks. It implements observe.Standings.
type stacks struct {
	daemon Daemon
	log    *slog.Logger
	board  *board
	ask    chan struct{} // asks for a look

	mu     sync.Mutex
	all    []rhumb.StackInfo // by name
	looked time.Time         // when; zero: never
	asked  bool              // at least once, with an answer or without
	up     bool              // the daemon answered last
	failed map[string]bool   // by stack: the last deployment that has ended did not converge
	crash  map[string]*restarts

	goroutines int       // of the daemon
	informed   time.Time // when it last said how many
}

// restarts counts the replicas of a service that were started again because the one before had crashed.
type restarts struct {
	labels []string
	n      float64
	seen   map[string]sighting // by the replica's name
}

// sighting is a replica at the last look.
type sighting struct {
	id      string
	crashes int // in a row, before it was started
}

func newStacks(daemon Daemon, b *board, log *slog.Logger) *stacks {
	return &stacks{daemon: daemon, board: b, log: log, ask: make(chan struct{}, 1), failed: map[string]bool{},
		crash: map[string]*restarts{}}
}

// Stack implements observe.Standings.
func (s *stacks) Stack(name string) (rhumb.StackInfo, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := slices.BinarySearchFunc(s.all, name, func(i rhumb.StackInfo, name string) int {
		return strings.Compare(i.Name, name)
	})
	if !ok {
		return rhumb.StackInfo{}, time.Time{}
	}
	return s.all[i], s.looked
}

// All implements observe.Standings.
func (s *stacks) All() []rhumb.StackInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// server returns the daemon's process as it last answered.
func (s *stacks) server() process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return process{name: "server", asked: s.asked, up: s.up, goroutines: s.goroutines}
}

// follow asks for a look whenever something happens to a stack, until ctx ends.
func (s *stacks) follow(ctx context.Context) {
	for ctx.Err() == nil {
		s.wake() // the daemon may have come back
		for e, err := range s.daemon.Events(ctx, rhumb.EventFilter{Follow: true, Limit: 1}) {
			if err != nil {
				break
			}
			if e.Kind != rhumb.EventPull {
				s.wake()
			}
		}
		s.wake() // it may have ended
		pause.For(ctx, retryDaemon)
	}
}

func (s *stacks) wake() {
	select {
	case s.ask <- struct{}{}:
	default:
	}
}

// run looks at the stacks until ctx ends: when it is asked to, and every now and then.
func (s *stacks) run(ctx context.Context) {
	tick := time.NewTicker(stacksEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.ask:
		}
		s.look(ctx)
		pause.For(ctx, stacksPause)
	}
}

// look asks the daemon for all stacks. If it doesn't answer, what it said before still counts.
func (s *stacks) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, daemonTimeout)
	defer cancel()
	all, err := s.daemon.Stacks(ctx)
	if err != nil {
		s.away(err)
		return
	}
	failed := map[string]bool{}
	for i := range all {
		if was, known := s.ended(ctx, &all[i]); known {
			failed[all[i].Name] = was
		}
	}
	s.inform(ctx)
	slices.SortFunc(all, func(a, b rhumb.StackInfo) int { return strings.Compare(a.Name, b.Name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.looked, s.asked, s.up, s.failed = all, time.Now(), true, true, failed
	s.count()
}

// inform asks the daemon for its goroutines now and then: it asks its engine and its proxy too.
func (s *stacks) inform(ctx context.Context) {
	if time.Since(s.informed) < infoEvery {
		return
	}
	s.informed = time.Now()
	if info, err := s.daemon.Info(ctx); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.goroutines = info.Goroutines
	}
}

// away notes that the daemon doesn't answer.
func (s *stacks) away(err error) {
	s.mu.Lock()
	first := s.up || !s.asked
	s.asked, s.up = true, false
	s.mu.Unlock()
	if first {
		s.log.Warn("stacks not looked at", "err", err)
	}
}

// ended reports whether the last deployment of a stack that has ended did not converge. It is not known if none has.
func (s *stacks) ended(ctx context.Context, info *rhumb.StackInfo) (failed, known bool) {
	d := info.Deployment
	switch {
	case d == nil:
		return false, false
	case d.Phase.Ended():
		return d.Phase != rhumb.PhaseConverged, true
	}
	s.mu.Lock()
	failed, known = s.failed[info.Name]
	s.mu.Unlock()
	if known {
		return failed, true
	}
	last, err := s.daemon.Deployments(ctx, info.Name, 2)
	for i := range last {
		if err == nil && last[i].Phase.Ended() {
			return last[i].Phase != rhumb.PhaseConverged, true
		}
	}
	return false, false
}

// count counts the restarts since the last look. The engine keeps with each replica how often its slot had crashed in a
// row before it was started.
func (s *stacks) count() {
	fresh := map[string]*restarts{}
	for i := range s.all {
		for j := range s.all[i].Services {
			svc := &s.all[i].Services[j]
			if svc.Job {
				continue
			}
			key := s.all[i].Name + "/" + svc.Name
			r := s.crash[key]
			first := r == nil
			if first {
				r = &restarts{labels: serviceLabels(s.all[i].Name, svc.Name)}
			}
			r.look(svc, first)
			fresh[key] = r
		}
	}
	s.crash = fresh
}

// look counts the replicas of a service that are new since the last look. At the first one, none is.
func (r *restarts) look(svc *rhumb.ServiceStatus, first bool) {
	seen := make(map[string]sighting, len(svc.Slots))
	for i := range svc.Slots {
		rep := &svc.Slots[i]
		if rep.ID == "" {
			continue
		}
		old, ok := r.seen[rep.Name]
		seen[rep.Name] = sighting{rep.ID, rep.Restarts}
		switch {
		case first || old.id == rep.ID || rep.Restarts == 0:
		case ok && rep.Restarts > old.crashes:
			r.n += float64(rep.Restarts - old.crashes)
		default:
			r.n++
		}
	}
	r.seen = seen
}

// sample measures what is known of the stacks.
func (s *stacks) sample(ctx context.Context, at time.Time) {
	s.mu.Lock()
	if time.Since(s.looked) < stacksFor {
		for i := range s.all {
			s.stack(&s.all[i])
		}
		for _, r := range s.crash {
			s.board.set(r.n, "rhumb_service_restarts_total", r.labels...)
		}
	}
	s.mu.Unlock()
	s.board.publish(ctx, at)
}

// stack measures one stack.
func (s *stacks) stack(info *rhumb.StackInfo) {
	set := func(name string, v float64) { s.board.set(v, name, "stack", info.Name) }
	if info.Release > 0 {
		set("rhumb_stack_release", float64(info.Release))
	}
	set("rhumb_stack_deployment_open", number(info.Deployment != nil && !info.Deployment.Phase.Ended()))
	if failed, known := s.failed[info.Name]; known {
		set("rhumb_stack_deployment_failed", number(failed))
	}
	for i := range info.Services {
		svc := &info.Services[i]
		if svc.Job {
			continue
		}
		labels := serviceLabels(info.Name, svc.Name)
		s.board.set(float64(svc.Replicas), "rhumb_service_replicas", labels...)
		s.board.set(float64(svc.Ready), "rhumb_service_replicas_ready", labels...)
	}
}
