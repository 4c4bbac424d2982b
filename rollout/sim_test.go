package rollout

import (
	"flag"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
)

var (
	simSeed  = flag.Uint64("rollout.seed", 0, "run the simulation of this one seed, with a trace")
	simCount = flag.Int64("rollout.deployments", 50_000, "how many deployments to simulate; with -short 2,000")
)

// The simulator drives random stacks through random deployments in a world where everything fails now and then. After
// every step it checks what DESIGN.md promises. Every failure names its seed.
func TestRandomDeploymentsKeepTheirPromises(t *testing.T) {
	if *simSeed != 0 {
		if _, err := runSeed(*simSeed,
			func(format string, args ...any) { fmt.Printf(format+"\n", args...) }); err != nil {
			t.Errorf("seed %d: %v", *simSeed, err)
		}
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // small worlds, much garbage
	target := *simCount
	if testing.Short() {
		target = 2_000
	}
	var seed atomic.Uint64
	var deployments, turns, failed atomic.Int64
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for deployments.Load() < target && failed.Load() < 5 {
				n := seed.Add(1)
				s, err := runSeed(n, nil)
				deployments.Add(int64(s.deployments))
				turns.Add(int64(s.turns))
				if err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v (go test ./rollout -run %s -rollout.seed=%d traces it)", n, err, t.Name(), n)
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d deployments of %d stacks in %d turns", deployments.Load(), seed.Load(), turns.Load())
}

// runSeed simulates one stack's life.
func runSeed(seed uint64, trace func(string, ...any)) (*sim, error) {
	s := newSim(seed, trace)
	return s, s.live()
}

// live simulates the stack's life to its end. It returns the first broken promise.
func (s *sim) live() (err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(error); ok {
				panic(p)
			}
			s.logReplicas()
			err = fmt.Errorf("at %s, turn %d: %v", s.now.Sub(noon), s.turns, p)
		}
	}()
	s.releases = append(s.releases, s.stacks.first())
	s.oneOff()
	n := 1 + s.rng.IntN(4)
	for i := range n {
		s.deploy(s.choose(i, n))
		s.deployments++
		s.hold(s.rng.IntN(6))
	}
	s.holdUntilQuiet()
	return nil
}

func (s *sim) logReplicas() {
	for _, r := range s.replicas {
		route, routed := s.routes[r.ID]
		s.log("%s [%s] spec %.6s %s %s joined %q ready %v ends %v stopping %v routed %v %v", r.Name(), r.ID, r.Spec,
			r.State, r.Health, r.Joined, r.readyAt.Sub(noon), r.endsAt.Sub(noon), r.stopping, routed, route.Draining)
	}
}

// oneOff adds a container that a person runs by hand. No step may be about it.
func (s *sim) oneOff() {
	r := s.make("a", 1, 0, "")
	r.State, r.Started = rhumb.StateRunning, s.now
}

// choose picks the release that the next deployment goes to.
func (s *sim) choose(i, n int) (to int, cause rhumb.Cause) {
	last := s.releases[len(s.releases)-1]
	switch {
	case i == 0:
		return 1, rhumb.CauseDeploy
	case i == n-1 && s.chance(0.2):
		return 0, rhumb.CauseDown
	case s.chance(0.2):
		return 1 + s.rng.IntN(last.number), rhumb.CauseRollback
	case s.chance(0.2) && s.current > 0:
		last = s.release(s.current)
	}
	next := s.stacks.change(last, len(s.releases)+1)
	s.releases = append(s.releases, next)
	return next.number, rhumb.CauseDeploy
}

const (
	maxTurns    = 5000
	maxDuration = 3 * time.Hour
)

// deploy runs one deployment to its end.
func (s *sim) deploy(to int, cause rhumb.Cause) {
	s.settleFlights()
	s.dep = rhumb.Deployment{Stack: "shop", From: s.current, To: to, Cause: cause, Started: s.now,
		Phase: rhumb.PhaseRolling}
	s.log("deploy %d -> %d (%s)", s.current, to, cause)
	if m := s.release(to).model; m != nil && s.trace != nil {
		for _, d := range m.Services {
			s.log("  %s x%d %s %.6s %v job %v net %q routes %v drain %v quality %d restart %s deps %v update %+v",
				d.Name, d.Replicas, d.Order, s.release(to).specs[d.Name], d.Ready, d.Job,
				d.Container.NetworkMode, s.hasRoutes(&d), d.Drain, s.release(to).quality[d.Name],
				d.Restart.Condition, d.DependsOn, d.Update)
		}
	}
	s.check.begin()
	began := s.now
	cancel := 0
	if !s.calm && to != 0 && s.chance(0.05) {
		cancel = 1 + s.rng.IntN(50)
	}
	for turn := 1; !s.dep.Phase.Ended(); turn++ {
		if turn == cancel {
			s.dep.Cancel = true
		}
		s.turn()
		if turn > maxTurns || s.now.Sub(began) > maxDuration {
			d := Next(s.wanted(), s.look(), s.now)
			panic(fmt.Sprintf("deployment %d -> %d doesn't end: %+v", s.dep.From, s.dep.To, d))
		}
	}
}

// settleFlights completes the steps under way before another deployment begins.
func (s *sim) settleFlights() {
	for s.gate = true; len(s.flying) > 0; {
		s.advance(time.Time{})
	}
	s.gate = false
}

func (s *sim) hold(turns int) {
	for range turns {
		s.turn()
	}
}

// holdUntilQuiet holds until nothing is left to do, and checks that nothing is left over.
func (s *sim) holdUntilQuiet() {
	turns := 4
	if s.calm {
		turns = 400
	}
	for range turns {
		s.turn()
		if s.now.Before(s.away) || len(s.flying) > 0 {
			continue
		}
		if d := Next(s.wanted(), s.look(), s.now); len(d.Steps) == 0 && d.Wake.IsZero() {
			s.check.quiet(d)
			return
		}
	}
	if s.calm && s.stacks.calm {
		panic("it never comes to rest")
	}
}
