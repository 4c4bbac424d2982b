package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// look is one call of Next and the decision that it must return.
type look struct {
	name string
	w    Wanted
	o    world
	now  time.Time // zero: noon
	want []string  // steps
	wait string    // for web, if set
	wake time.Duration
	done bool
	fail string
	left []string
}

func (l look) check(t *testing.T) {
	t.Helper()
	now := l.now
	if now.IsZero() {
		now = noon
	}
	d := Next(l.w, Observed(l.o), now)
	if diff := cmp.Diff(l.want, words(d.Steps)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if l.wait != "" && d.Waiting["web"] != l.wait {
		t.Errorf("web %q, want %q", d.Waiting["web"], l.wait)
	}
	if l.wake != 0 && !d.Wake.Equal(now.Add(l.wake)) {
		t.Errorf("wakes after %s, want %s", d.Wake.Sub(now), l.wake)
	}
	if d.Done != l.done || d.Failed != l.fail {
		t.Errorf("done %v failed %q, want %v %q", d.Done, d.Failed, l.done, l.fail)
	}
	if diff := cmp.Diff(l.left, d.Left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func checkAll(t *testing.T, looks []look) {
	for _, l := range looks {
		t.Run(l.name, l.check)
	}
}

// plus adds a replica, ready or not.
func (o world) plus(r rhumb.Replica, ready bool) world {
	o.Replicas = append(o.Replicas, r)
	if ready {
		o.Ready[r.ID] = noon
	}
	return o
}

// route puts a replica into the table.
func (o world) route(id string, r Route) world {
	o.Routes[id] = r
	return o
}

// young returns a replica that was started that long ago.
func young(s *rhumb.Service, release, slot int, ago time.Duration) rhumb.Replica {
	r := replica(s, release, slot)
	r.Created, r.Started = noon.Add(-ago), noon.Add(-ago)
	return r
}

func TestASlotChangesStepByStep(t *testing.T) {
	one, two := stack(web(1, "a")), stack(web(1, "b"))
	now := &two.Services[0]
	w := deploy(42, one, two)
	again := stack(web(1, "a"))
	again.Services[0].Container.RestartedAt = noon
	draining := func(open int, ago time.Duration) world {
		return serving(41, one).plus(young(now, 42, 1, time.Minute), true).route("web.42.1", Route{}).
			route("web.41.1", Route{Draining: true, Since: noon.Add(-ago), Open: open})
	}
	checkAll(t, []look{
		{name: "the new one is started", w: w, o: serving(41, one),
			want: []string{"start shop-web.42.1 (image changed)"}, wait: "0/1 ready"},
		{name: "nothing happens until it is ready", w: w,
			o: serving(41, one).plus(young(now, 42, 1, time.Second), false), wait: "0/1 ready", wake: 59 * time.Second},
		{name: "a start that was cut off is repeated", w: w,
			o: serving(41, one).plus(rhumb.Replica{ID: "c", Stack: "shop", Service: "web", Release: 42, Slot: 1,
				Spec: now.Container.Hash(), State: rhumb.StateCreated}, false),
			want: []string{"start shop-web.42.1 (image changed)"}},
		{name: "it is routed before the old one drains", w: w,
			o:    serving(41, one).plus(young(now, 42, 1, time.Second), true),
			want: []string{"route shop-web.42.1 (ready)"}},
		{name: "then the old one drains", w: w,
			o:    serving(41, one).plus(young(now, 42, 1, time.Second), true).route("web.42.1", Route{}),
			want: []string{"drain shop-web.41.1 (image changed)"}},
		{name: "it waits for connections, and the deployment is done", w: w, o: draining(3, time.Second), done: true,
			wake: 9 * time.Second},
		{name: "it leaves the table once they have ended", w: w, o: draining(0, time.Second),
			want: []string{"unroute shop-web.41.1 (image changed)"}, done: true},
		{name: "or once its time is over", w: w, o: draining(3, 10*time.Second),
			want: []string{"unroute shop-web.41.1 (image changed)"}, done: true},
		{name: "a missing address comes first", w: w,
			o:    func() world { o := serving(41, one); delete(o.Published, "*:80/tcp"); return o }(),
			want: []string{"publish *:80/tcp (new address)"}},
		{name: "a restart has its own reason", w: deploy(42, one, again), o: serving(41, one),
			want: []string{"start shop-web.42.1 (restart asked for)"}, wait: "0/1 ready"},
	})
}

func TestParallelismAndDelayHoldSlotsBack(t *testing.T) {
	one, two := stack(web(4, "a")), stack(web(4, "b"))
	two.Services[0].Update = rhumb.Policy{Parallelism: 2, Delay: 10 * time.Second}
	now := &two.Services[0]
	w := deploy(42, one, two)
	begun := func() world {
		return serving(41, one).plus(young(now, 42, 1, time.Second), true).route("web.42.1", Route{}).
			plus(young(now, 42, 2, time.Second), false).
			route("web.41.1", Route{Draining: true, Since: noon, Open: 1})
	}
	checkAll(t, []look{
		{name: "two at a time, the lowest first", w: w, o: serving(41, one),
			want: []string{"start shop-web.42.1 (image changed)", "start shop-web.42.2 (image changed)"}},
		{name: "one is ready: the next waits for the delay", w: w, o: begun(), wake: 10 * time.Second,
			wait: "waits 10s between batches"},
		{name: "and goes then", w: w, now: noon.Add(10 * time.Second), o: begun(),
			want: []string{"start shop-web.42.3 (image changed)", "unroute shop-web.41.1 (image changed)"}},
	})
}

func TestAStopFirstSlotHasOneAliveReplicaAtMost(t *testing.T) {
	one, two := stack(web(2, "a")), stack(web(2, "b"))
	two.Services[0].Order = rhumb.StopFirst
	w := deploy(42, one, two)
	checkAll(t, []look{
		{name: "the old one drains first", w: w, o: serving(41, one),
			want: []string{"drain shop-web.41.1 (image changed)"}},
		{name: "then leaves", w: w, o: serving(41, one).route("web.41.1", Route{Draining: true, Since: noon}),
			want: []string{"unroute shop-web.41.1 (image changed)"}},
		{name: "the new one starts once it is dead", w: w, o: func() world {
			o := serving(41, one).with("web.41.1", died(0))
			delete(o.Routes, "web.41.1")
			return o
		}(), want: []string{"start shop-web.42.1 (image changed)", "remove shop-web.41.1 (image changed)"}},
		{name: "the way back is stop-first too", o: serving(42, two),
			want: []string{"drain shop-web.42.1 (replaced by shop@41)"},
			w:    Wanted{Stack: "shop", Release: 41, Model: one, Previous: two, Mode: Restore}},
	})
}

func TestJobsRunOnceAndBeforeAnythingChanges(t *testing.T) {
	model := func(image string) *rhumb.Stack {
		return stack(db("a"), after(migrate(image), "db", rhumb.DependsHealthy),
			after(web(1, image), "migrate",
				rhumb.DependsCompleted), func() rhumb.Service {
				s := web(1,
					image)
				s.Name = "admin"
				s.Ports = nil
				return s
			}())
	}
	one, two := model("a"), model("b")
	w := deploy(42, one, two)
	job := young(two.Service("migrate"), 42, 1, time.Second)
	ended := func(code int) world {
		r := job
		died(code)(&r)
		return serving(41, one).plus(r, false)
	}
	noJobs := w
	noJobs.RunJobs = false
	failed := w
	failed.Failures = []rhumb.Failure{{At: noon, Service: "migrate", Slot: 1, Release: 42, ID: job.ID,
		Reason: "exited with 1"}}
	checkAll(t, []look{
		{name: "the job first, and nothing else", w: w, o: serving(41, one), wait: "waits for job migrate",
			want: []string{"run shop-migrate.42.1 (image changed)"}},
		{name: "everything waits for it", w: w, o: serving(41, one).plus(job, false), wait: "waits for job migrate"},
		{name: "then everything else changes, and the old job's container goes", w: w, o: ended(0),
			want: []string{"remove shop-migrate.41.1 (image changed)", "start shop-web.42.1 (image changed)",
				"start shop-admin.42.1 (image changed)"}},
		{name: "its failure is recorded", w: w, o: ended(1),
			want: []string{"record shop-migrate.42.1 (exited with 1 after 1s)"}},
		{name: "and fails the deployment", w: failed, o: ended(1), fail: "migrate.1 exited with 1",
			left: []string{"shop-web.42.1: isn't ready", "shop-admin.42.1: isn't ready"}},
		{name: "unless the deployment runs no jobs", w: noJobs, o: serving(41, one),
			want: []string{"remove shop-migrate.41.1 (image changed)", "start shop-web.42.1 (image changed)",
				"start shop-admin.42.1 (image changed)"}},
		{name: "an unchanged job doesn't run again", w: deploy(42, one, one), o: serving(41, one), done: true},
	})
}

func TestHoldReplacesDeadReplicas(t *testing.T) {
	one := stack(web(2, "a"))
	w := Wanted{Stack: "shop", Release: 41, Model: one, Mode: Hold}
	noted := func(o world, id string) world { delete(o.Routes, id); o.Recorded[id] = true; return o }
	crashed := func(restarts int) world {
		return noted(serving(41, one).with("web.41.1", func(r *rhumb.Replica) {
			died(1)(r)
			r.Restarts, r.Started = restarts, noon.Add(-time.Second)
		}), "web.41.1")
	}
	never := stack(web(2, "a"))
	never.Services[0].Restart.Condition = rhumb.RestartNone
	gone := serving(41, one)
	gone.Replicas = gone.Replicas[1:]
	checkAll(t, []look{
		{name: "all well", w: w, o: serving(41, one), done: true},
		{name: "it leaves the table", w: w, o: serving(41, one).with("web.41.1", died(1)),
			want: []string{"unroute shop-web.41.1 (exited with 1 after 1h0m0s)"}},
		{name: "it is started again after a second", w: w, o: crashed(0), wake: time.Second,
			wait: "web.1 exited with 1 after 1s; started again at 12:00:01"},
		{name: "the wait doubles", w: w, o: crashed(3), wake: 8 * time.Second},
		{name: "up to a minute", w: w, o: crashed(60), wake: time.Minute},
		{name: "a replica that ran well resets the count", w: w,
			o: noted(serving(41, one).with("web.41.1", func(r *rhumb.Replica) { died(1)(r); r.Restarts = 9 }),
				"web.41.1"), wake: time.Second},
		{name: "a missing replica is started at once", w: w, o: gone, want: []string{"start shop-web.41.1 (missing)"}},
		{name: "restart none leaves it, out of the table", w: Wanted{Stack: "shop", Release: 41, Model: never},
			o: noted(serving(41, never).with("web.41.1", died(1)), "web.41.1"), done: true},
		{name: "a slot that a paused deployment didn't change stays",
			w: Wanted{Stack: "shop", Release: 42, Model: stack(web(2, "b"))}, o: serving(41, one)},
	})
}

func TestADeploymentReplacesDeadReplicas(t *testing.T) {
	model := func(n int) *rhumb.Stack {
		m := stack(web(n, "a"))
		m.Services[0].Restart.Condition = rhumb.RestartNone
		return m
	}
	dead := func(code int) world {
		o := serving(41, model(2)).with("web.41.2", died(code))
		delete(o.Routes, "web.41.2")
		return o
	}
	shown := dead(1)
	shown.Recorded["web.41.2"] = true
	back := deploy(41, model(1), model(2))
	back.Since = noon.Add(-time.Minute)
	once := stack(web(1, "a"))
	task := &once.Services[0]
	task.Ports, task.Ready, task.Restart.Condition = nil, rhumb.Ready{Kind: rhumb.ReadyRunning}, rhumb.RestartNone
	checkAll(t, []look{
		{name: "a replica that the restart policy left dead is tried again", w: deploy(42, model(2), model(2)),
			o: shown, now: noon.Add(time.Second),
			want: []string{"start shop-web.42.2 (it had ended)"}},
		{name: "a replica that an earlier deployment stopped isn't recorded", w: back, o: dead(143),
			want: []string{"remove shop-web.41.2 (replaced by shop@41)"}},
		{name: "a replica that has done its work stays", w: deploy(42, once, once),
			o: serving(41, once).with("web.41.1", died(0)), done: true},
	})
}

func TestRestorePutsBackAndLeavesNothingElse(t *testing.T) {
	one := stack(web(2, "a"))
	two := stack(web(2, "b"), db("x"))
	two.Services[0].Replicas = 3
	w := Wanted{Stack: "shop", Release: 41, Model: one, Previous: two, Mode: Restore}
	half := func() world { // slot 1 has changed, slot 2 begins, the old one of slot 1 still drains
		o := serving(41, one).plus(replica(&two.Services[0], 42, 1), true).route("web.42.1", Route{})
		o.route("web.41.1", Route{Draining: true, Since: noon, Open: 1})
		return o.plus(young(&two.Services[0], 42, 2, time.Second), false).plus(replica(&two.Services[1], 42, 1), true)
	}
	gone := func() world { // the old one of slot 1 is gone already
		o := serving(41, one).plus(replica(&two.Services[0], 42, 1), true).route("web.42.1", Route{})
		o.Replicas = o.Replicas[1:]
		delete(o.Routes, "web.41.1")
		return o
	}
	lost := w
	for i := range 4 {
		lost.Failures = append(lost.Failures,
			rhumb.Failure{At: noon.Add(-time.Hour), Service: "web", Slot: 1, Release: 41, ID: string(rune('a' + i)),
				Reason: "exited with 1"})
	}
	checkAll(t, []look{
		{name: "the old one gets connections again; replicas that never served go", w: w, o: half(),
			want: []string{"route shop-web.41.1 (ready)", "stop shop-web.42.2 (replaced by shop@41)",
				"stop shop-db.42.1 (not in shop@41)"}},
		{name: "new ones serve until an old one is back", w: w, o: gone(),
			want: []string{"start shop-web.41.1 (back to shop@41)"}},
		{name: "after three more tries it is given up", w: lost, o: gone(), fail: "it can't be put back",
			left: []string{"shop-web.41.1: exited with 1", "shop-web.42.1: still there"}},
		{name: "done", w: w, o: serving(41, one), done: true},
		{name: "nothing was there before", w: Wanted{Stack: "shop", Previous: one, Mode: Restore}, o: serving(42, one),
			want: []string{"drain shop-web.42.1 (everything is removed)",
				"drain shop-web.42.2 (everything is removed)"}},
	})
}

func TestAReplicaWhoseNetworkIsGoneIsReplaced(t *testing.T) {
	side := rhumb.Service{Name: "side", Replicas: 1, Order: rhumb.StartFirst, Ready: rhumb.Ready{Kind: rhumb.ReadyHTTP}}
	side.Container = rhumb.Container{Image: "s", NetworkMode: "service:web"}
	one := stack(side, web(1, "a"))
	w := Wanted{Stack: "shop", Release: 41, Model: one, Mode: Hold}
	joined := func(id string) world {
		return serving(41, one).with("side.41.1", func(r *rhumb.Replica) { r.Joined = id })
	}
	checkAll(t, []look{
		{name: "it shares the network of a replica that is there", w: w, o: joined("web.41.1"), done: true},
		{name: "it shares the network of a replica that is gone", w: w, o: joined("web.40.1"),
			want: []string{"stop shop-side.41.1 (replaced by shop@41)"}},
	})
}

func TestReasonsDoNotContainValues(t *testing.T) {
	a, b := stack(web(1, "a")), stack(web(1, "a"))
	a.Services[0].Container.Env = map[string]string{"TOKEN": "hunter2", "SAME": "x"}
	b.Services[0].Container.Env = map[string]string{"TOKEN": "hunter3", "SAME": "x"}
	all := strings.Join(words(Plan(deploy(42, a, b), Observed(serving(41, a)), noon)), "\n")
	if strings.Contains(all, "hunter") || !strings.Contains(all, "environment TOKEN changed") {
		t.Error(all)
	}
}
