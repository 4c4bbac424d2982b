package measure

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// daemon answers what a test says.
type daemon struct {
	mu      sync.Mutex
	stacks  []rhumb.StackInfo
	past    []rhumb.Deployment
	err     error
	looks   int
	infos   int
	events  chan rhumb.Event
	broken  chan struct{} // closed: the stream of events ends
	streams int
}

func newDaemon() *daemon { return &daemon{events: make(chan rhumb.Event), broken: make(chan struct{})} }

func (d *daemon) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func (d *daemon) Info(context.Context) (rhumb.ServerInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.infos++
	return rhumb.ServerInfo{Goroutines: 31}, d.err
}

func (d *daemon) Stacks(context.Context) ([]rhumb.StackInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looks++
	return append([]rhumb.StackInfo(nil), d.stacks...), d.err
}

func (d *daemon) Deployments(context.Context, string, int) ([]rhumb.Deployment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.past, d.err
}

func (d *daemon) Events(ctx context.Context, _ rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		d.mu.Lock()
		d.streams++
		broken, err := d.broken, d.err
		d.mu.Unlock()
		if err != nil {
			yield(rhumb.Event{}, err)
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-broken:
				yield(rhumb.Event{}, errors.New("broken"))
				return
			case e := <-d.events:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// slots returns replicas of a service.
func slots(rs ...rhumb.Replica) []rhumb.ReplicaStatus {
	list := make([]rhumb.ReplicaStatus, len(rs))
	for i, r := range rs {
		list[i] = rhumb.ReplicaStatus{Replica: r, Name: r.Name()}
	}
	return list
}

func TestStacksAreMeasured(t *testing.T) {
	d := newDaemon()
	d.stacks = []rhumb.StackInfo{
		{Name: "shop", Release: 42, Deployment: &rhumb.Deployment{Phase: rhumb.PhaseRolledBack},
			Services: []rhumb.ServiceStatus{{Name: "web", Replicas: 3, Ready: 2}, {Name: "migrate", Job: true, Replicas: 1}}},
		{Name: "blog", Deployment: &rhumb.Deployment{Phase: rhumb.PhaseRolling}},
	}
	d.past = []rhumb.Deployment{{Phase: rhumb.PhaseRolling}, {Phase: rhumb.PhaseConverged}}
	r := newRecord(t)
	s := newStacks(d, newBoard(r, quiet()), quiet())
	s.look(t.Context())
	s.sample(t.Context(), noon)
	r.is("", map[string]float64{
		`rhumb_stack_release{stack="shop"}`: 42, `rhumb_stack_deployment_open{stack="shop"}`: 0,
		`rhumb_stack_deployment_failed{stack="shop"}`: 1, `rhumb_stack_deployment_open{stack="blog"}`: 1,
		`rhumb_stack_deployment_failed{stack="blog"}`:              0,
		`rhumb_service_replicas{service="web",stack="shop"}`:       3,
		`rhumb_service_replicas_ready{service="web",stack="shop"}`: 2,
		`rhumb_service_restarts_total{service="web",stack="shop"}`: 0,
	})
	if all := s.All(); len(all) != 2 || all[0].Name != "blog" {
		t.Errorf("all: %+v", all)
	}
	if info, at := s.Stack("shop"); info.Release != 42 || time.Since(at) > time.Minute {
		t.Errorf("shop: %+v at %v", info, at)
	}
	if _, at := s.Stack("none"); !at.IsZero() {
		t.Errorf("a stack that isn't there was looked at at %v", at)
	}
	// A deployment that is open leaves what is known of the one before.
	d.stacks[0].Deployment = &rhumb.Deployment{Phase: rhumb.PhaseRolling}
	d.past = nil
	s.look(t.Context())
	s.sample(t.Context(), noon.Add(time.Second))
	r.is("rhumb_stack_deployment_failed", map[string]float64{
		`rhumb_stack_deployment_failed{stack="shop"}`: 1, `rhumb_stack_deployment_failed{stack="blog"}`: 0})
}

func TestStacksAreLookedAtWhenSomethingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon()
		s := newStacks(d, newBoard(newRecord(t), quiet()), quiet())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.follow(ctx)
		go s.run(ctx)
		looks := func(want int, after string) {
			t.Helper()
			synctest.Wait()
			d.set(func() {
				if d.looks != want {
					t.Errorf("%s: %d looks, want %d", after, d.looks, want)
				}
			})
		}
		looks(1, "at first")
		time.Sleep(29 * time.Second)
		looks(1, "with nothing new")
		time.Sleep(2 * time.Second)
		looks(2, "every now and then")
		for range 10 {
			d.events <- rhumb.Event{Kind: rhumb.EventReady}
		}
		time.Sleep(2 * time.Second)
		looks(4, "after a flood of events, the last of which come during the look")
		d.events <- rhumb.Event{Kind: rhumb.EventPull}
		time.Sleep(2 * time.Second)
		looks(4, "after progress")
		d.set(func() { d.err = errors.New("away") })
		close(d.broken)
		time.Sleep(time.Second)
		if got := s.server(); got.up || !got.asked || got.goroutines != 31 {
			t.Errorf("after the daemon's end: %+v", got)
		}
		time.Sleep(time.Minute)
		d.set(func() {
			if d.infos != 1 || d.streams < 20 || d.streams > 40 {
				t.Errorf("%d calls of Info, %d streams", d.infos, d.streams)
			}
			d.err, d.broken = nil, make(chan struct{})
		})
		time.Sleep(5 * time.Second)
		if got := s.server(); !got.up {
			t.Errorf("after its return: %+v", got)
		}
	})
}

func TestWhatADaemonSaidCountsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDaemon()
		d.stacks = []rhumb.StackInfo{{Name: "shop", Release: 1}}
		r := newRecord(t)
		s := newStacks(d, newBoard(r, quiet()), quiet())
		s.look(t.Context())
		d.err = errors.New("away")
		for after, want := range []int{2, 2, 2, 2, 2, 0, 0} { // minutes
			s.sample(t.Context(), time.Now())
			if got := r.now(""); len(got) != want {
				t.Errorf("after %d minutes: %v", after, got)
			}
			time.Sleep(time.Minute)
			s.look(t.Context())
		}
		if all := s.All(); len(all) != 1 {
			t.Errorf("the standings: %+v", all)
		}
	})
}

func TestRestartsOfServicesAreCounted(t *testing.T) {
	const key = `rhumb_service_restarts_total{service="web",stack="shop"}`
	web := func(id string, release, slot, crashes int) rhumb.Replica {
		return rhumb.Replica{ID: id, Stack: "shop", Service: "web", Release: release, Slot: slot, Restarts: crashes}
	}
	d := newDaemon()
	r := newRecord(t)
	s := newStacks(d, newBoard(r, quiet()), quiet())
	for i, c := range []struct {
		slots []rhumb.ReplicaStatus
		want  float64
		why   string
	}{
		{slots(web("a", 1, 1, 3), web("b", 1, 2, 0)), 0, "what was before the first look"},
		{slots(web("a", 1, 1, 3), web("c", 1, 2, 1)), 1, "a crash"},
		{slots(web("a", 1, 1, 3), web("c", 1, 2, 1)), 1, "nothing"},
		{slots(web("a", 1, 1, 3), web("d", 1, 2, 4)), 4, "three crashes between two looks"},
		{slots(web("a", 1, 1, 3)), 4, "a replica that is gone for a moment"},
		{slots(web("e", 1, 1, 1), web("f", 1, 2, 5)), 6, "a crash after a good time, and one of another slot"},
		{slots(web("g", 2, 1, 0), web("h", 2, 2, 0)), 6, "a deployment"},
		{slots(web("i", 2, 1, 1), rhumb.Replica{}), 7, "a crash of the new release, and an empty slot"},
	} {
		d.stacks = []rhumb.StackInfo{{Name: "shop", Services: []rhumb.ServiceStatus{{Name: "web", Slots: c.slots}}}}
		s.look(t.Context())
		s.sample(t.Context(), noon.Add(time.Duration(i)*time.Second))
		if got := r.now(key)[key]; got != c.want {
			t.Errorf("after %s: %v restarts, want %v", c.why, got, c.want)
		}
	}
}

// TestNoRestartIsCountedTwice has replicas crash and deployments change them at random; each change is looked at.
func TestNoRestartIsCountedTwice(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	d := newDaemon()
	s := newStacks(d, newBoard(newRecord(t), quiet()), quiet())
	n, want, release := 0, 0.0, 1
	rs := make([]rhumb.Replica, 3)
	for i := range rs {
		n++
		rs[i] = rhumb.Replica{ID: decimal(n), Stack: "shop", Service: "web", Release: release, Slot: i + 1}
	}
	look := func() {
		d.stacks = []rhumb.StackInfo{{Name: "shop", Services: []rhumb.ServiceStatus{{Name: "web", Slots: slots(rs...)}}}}
		s.look(t.Context())
	}
	look()
	for range 500 {
		i := rng.IntN(len(rs))
		n++
		rs[i].ID = decimal(n)
		switch rng.IntN(3) {
		case 0: // crashes in a row
			rs[i].Restarts++
			want++
		case 1: // the first crash after a good time
			rs[i].Restarts = 1
			want++
		case 2:
			release++
			rs[i].Release, rs[i].Restarts = release, 0
		}
		look()
	}
	if got := s.crash["shop/web"].n; got != want {
		t.Errorf("%v restarts, want %v", got, want)
	}
}
