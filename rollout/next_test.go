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
		{name: "the new one is started", w: w, o: serving(41, one), want: []string{"start shop-web.42.1 (image changed)"}, wait: "0/1 ready"},
		{name: "nothing happens until it is ready", w: w, o: serving(41, one).plus(young(now, 42, 1, time.Second), false), wait: "0/1 ready", wake: 59 * time.Second},
		{name: "a start that was cut off is repeated", w: w, o: serving(41, one).plus(rhumb.Replica{ID: "c", Stack: "shop", Service: "web", Release: 42, Slot: 1,
			Spec: now.Container.Hash(), State: rhumb.StateCreated}, false), want: []string{"start shop-web.42.1 (image changed)"}},
		{name: "it is routed before the old one drains", w: w, o: serving(41, one).plus(young(now, 42, 1, time.Second), true), want: []string{"route shop-web.42.1 (ready)"}},
		{name: "then the old one drains", w: w, o: serving(41, one).plus(young(now, 42, 1, time.Second), true).route("web.42.1", Route{}),
			want: []string{"drain shop-web.41.1 (image changed)"}},
		{name: "it waits for connections, and the deployment is done", w: w, o: draining(3, time.Second), done: true, wake: 9 * time.Second},
		{name: "it leaves the table once they have ended", w: w, o: draining(0, time.Second), want: []string{"unroute shop-web.41.1 (image changed)"}, done: true},
		{name: "or once its time is over", w: w, o: draining(3, 10*time.Second), want: []string{"unroute shop-web.41.1 (image changed)"}, done: true},
		{name: "a missing address comes first", w: w, o: func() world { o := serving(41, one); delete(o.Published, "*:80/tcp"); return o }(),
			want: []string{"publish *:80/tcp (new address)"}},
		{name: "a restart has its own reason", w: deploy(42, one, again), o: serving(41, one), want: []string{"start shop-web.42.1 (restart asked for)"}, wait: "0/1 ready"},
	})
}

func TestParallelismAndDelayHoldSlotsBack(t *testing.T) {
	one, two := stack(web(4, "a")), stack(web(4, "b"))
	two.Services[0].Update = rhumb.Policy{Parallelism: 2, Delay: 10 * time.Second}
	now := &two.Services[0]
	w := deploy(42, one, two)
	begun := func() world {
		return serving(41, one).plus(young(now, 42, 1, time.Second), true).route("web.42.1", Route{}).plus(young(now, 42, 2, time.Second), false).
			route("web.41.1", Route{Draining: true, Since: noon, Open: 1})
	}
	checkAll(t, []look{
		{name: "two at a time, the lowest first", w: w, o: serving(41, one), want: []string{"start shop-web.42.1 (image changed)", "start shop-web.42.2 (image changed)"}},
		{name: "one is ready: the next waits for the delay", w: w, o: begun(), wake: 10 * time.Second, wait: "waits 10s between batches"},
		{name: "and goes then", w: w, now: noon.Add(10 * time.Second), o: begun(),
			want: []string{"start shop-web.42.3 (image changed)", "unroute shop-web.41.1 (image changed)"}},
	})
}

func TestAStopFirstSlotHasOneAliveReplicaAtMost(t *testing.T) {
	one, two := stack(web(2, "a")), stack(web(2, "b"))
	two.Services[0].Order = rhumb.StopFirst
	w := deploy(42, one, two)
	checkAll(t, []look{
		{name: "the old one drains first", w: w, o: serving(41, one), want: []string{"drain shop-web.41.1 (image changed)"}},
		{name: "then leaves", w: w, o: serving(41, one).route("web.41.1", Route{Draining: true, Since: noon}), want: []string{"unroute shop-web.41.1 (image changed)"}},
		{name: "the new one starts once it is dead", w: w, o: func() world {
			o := serving(41, one).with("web.41.1", died(0))
			delete(o.Routes, "web.41.1")
			return o
		}(), want: []string{"start shop-web.42.1 (image changed)", "remove shop-web.41.1 (image changed)"}},
		{name: "the way back is stop-first too", o: serving(42, two), want: []string{"drain shop-web.42.1 (replaced by shop@41)"},
			w: Wanted{Stack: "shop", Release: 41, Model: one, Previous: two, Mode: Restore}},
	})
}

func TestFailuresAreCountedAgainstTheRatio(t *testing.T) {
	one, two := stack(web(4, "a")), stack(web(4, "b"))
	now := &two.Services[0]
	now.Update.MaxFailureRatio = 0.25
	w := deploy(42, one, two)
	dead := young(now, 42, 1, 3*time.Second)
	died(1)(&dead)
	failure := func(slot int, id string) rhumb.Failure {
		return rhumb.Failure{At: noon, Service: "web", Slot: slot, Release: 42, ID: id, Reason: "exited with 1 before it was ready"}
	}
	with := func(fs ...rhumb.Failure) Wanted { x := w; x.Failures = fs; return x }
	recorded := func() world {
		o := serving(41, one).plus(dead, false)
		o.Recorded[dead.ID] = true
		return o
	}
	ratio := func(m rhumb.FailureAction) Wanted {
		x := with(failure(1, "web.42.1"), failure(1, "x"))
		x.Model = stack(web(4, "b"))
		x.Model.Services[0].Update = rhumb.Policy{Parallelism: 1, MaxFailureRatio: 0.25, OnFailure: m}
		return x
	}
	checkAll(t, []look{
		{name: "a dead replica is recorded first", w: w, o: serving(41, one).plus(dead, false), want: []string{"record shop-web.42.1 (exited with 1 after 3s)"}},
		{name: "within the ratio it is tried again, later", w: with(failure(1, "web.42.1")), o: recorded(), wake: time.Second,
			wait: "web.1 exited with 1 after 3s; started again at 12:00:01"},
		{name: "then it is started", w: with(failure(1, "web.42.1")), o: recorded(), now: noon.Add(time.Second), want: []string{"start shop-web.42.1 (it had ended)"}},
		{name: "a failure that is recorded twice counts once", w: with(failure(1, "web.42.1"), failure(1, "web.42.1")), o: recorded(), wake: time.Second},
		{name: "beyond it the deployment fails", w: with(failure(1, "web.42.1"), failure(1, "x")), o: recorded(), fail: "web.1 exited with 1 before it was ready",
			left: []string{"shop-web.42.1: exited with 1 before it was ready", "shop-web.42.2: isn't ready", "shop-web.42.3: isn't ready", "shop-web.42.4: isn't ready"}},
		{name: "continue goes on with the other slots", w: ratio(rhumb.ActionContinue), o: recorded(), want: []string{"start shop-web.42.2 (image changed)"}},
		{name: "a routed replica leaves the table first", w: w, o: serving(41, one).plus(dead, false).route("web.42.1", Route{}),
			want: []string{"unroute shop-web.42.1 (exited with 1 after 3s)"}},
		{name: "an address that can't be bound always fails", w: with(rhumb.Failure{At: noon, Service: "web", Release: 42, Reason: "*:80/tcp is taken"}), o: serving(41, one),
			fail: "web: *:80/tcp is taken", left: []string{"shop-web.42.1: isn't ready", "shop-web.42.2: isn't ready", "shop-web.42.3: isn't ready", "shop-web.42.4: isn't ready", "web: *:80/tcp is taken"}},
	})
	for action, want := range map[rhumb.FailureAction]rhumb.FailureAction{"": rhumb.ActionRollback, rhumb.ActionPause: rhumb.ActionPause} {
		if d := Next(ratio(action), Observed(recorded()), noon); d.Action != want {
			t.Errorf("on failure %q: %q", action, d.Action)
		}
	}
}

func TestReadinessHasATimeLimit(t *testing.T) {
	one := stack(web(1, "a"))
	def := &one.Services[0]
	w := deploy(1, nil, one)
	empty := func() world { o := serving(1, one); o.Replicas = nil; clear(o.Routes); clear(o.Ready); return o }
	sick := young(def, 1, 1, time.Second)
	sick.Health = rhumb.HealthUnhealthy
	plain := stack(web(1, "a"))
	plain.Services[0].Ready = rhumb.Ready{Kind: rhumb.ReadyRunning}
	late := empty().plus(young(def, 1, 1, time.Minute), false)
	late.Watched = noon.Add(-10 * time.Second)
	checkAll(t, []look{
		{name: "a minute", w: w, o: empty().plus(young(def, 1, 1, time.Minute), false), want: []string{"record shop-web.1.1 (was not ready within 1m0s)"}},
		{name: "which starts again with the daemon", w: w, o: late, wake: 50 * time.Second},
		{name: "an unhealthy replica isn't ready", w: w, o: empty().plus(sick, true), want: []string{"record shop-web.1.1 (is unhealthy)"}},
		{name: "a replica without a check must run for a while", w: deploy(1, nil, plain), o: empty().plus(young(&plain.Services[0], 1, 1, 2*time.Second), false), wake: 3 * time.Second},
		{name: "and is ready then", w: deploy(1, nil, plain), o: empty().plus(young(&plain.Services[0], 1, 1, 5*time.Second), false), want: []string{"route shop-web.1.1 (ready)"}},
	})
}

func TestJobsRunOnceAndBeforeAnythingChanges(t *testing.T) {
	model := func(image string) *rhumb.Stack {
		return stack(db("a"), after(migrate(image), "db", rhumb.DependsHealthy), after(web(1, image), "migrate", rhumb.DependsCompleted), func() rhumb.Service { s := web(1, image); s.Name = "admin"; s.Ports = nil; return s }())
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
	failed.Failures = []rhumb.Failure{{At: noon, Service: "migrate", Slot: 1, Release: 42, ID: job.ID, Reason: "exited with 1"}}
	checkAll(t, []look{
		{name: "the job first, and nothing else", w: w, o: serving(41, one), wait: "waits for job migrate", want: []string{"run shop-migrate.42.1 (image changed)"}},
		{name: "everything waits for it", w: w, o: serving(41, one).plus(job, false), wait: "waits for job migrate"},
		{name: "then everything else changes, and the old job's container goes", w: w, o: ended(0), want: []string{"remove shop-migrate.41.1 (image changed)", "start shop-web.42.1 (image changed)", "start shop-admin.42.1 (image changed)"}},
		{name: "its failure is recorded", w: w, o: ended(1), want: []string{"record shop-migrate.42.1 (exited with 1 after 1s)"}},
		{name: "and fails the deployment", w: failed, o: ended(1), fail: "migrate.1 exited with 1", left: []string{"shop-web.42.1: isn't ready", "shop-admin.42.1: isn't ready"}},
		{name: "unless the deployment runs no jobs", w: noJobs, o: serving(41, one), want: []string{"remove shop-migrate.41.1 (image changed)", "start shop-web.42.1 (image changed)", "start shop-admin.42.1 (image changed)"}},
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
		{name: "it leaves the table", w: w, o: serving(41, one).with("web.41.1", died(1)), want: []string{"unroute shop-web.41.1 (exited with 1 after 1h0m0s)"}},
		{name: "it is started again after a second", w: w, o: crashed(0), wake: time.Second, wait: "web.1 exited with 1 after 1s; started again at 12:00:01"},
		{name: "the wait doubles", w: w, o: crashed(3), wake: 8 * time.Second},
		{name: "up to a minute", w: w, o: crashed(60), wake: time.Minute},
		{name: "a replica that ran well resets the count", w: w, o: noted(serving(41, one).with("web.41.1", func(r *rhumb.Replica) { died(1)(r); r.Restarts = 9 }), "web.41.1"), wake: time.Second},
		{name: "a missing replica is started at once", w: w, o: gone, want: []string{"start shop-web.41.1 (missing)"}},
		{name: "restart none leaves it, out of the table", w: Wanted{Stack: "shop", Release: 41, Model: never}, o: noted(serving(41, never).with("web.41.1", died(1)), "web.41.1"), done: true},
		{name: "a slot that a paused deployment didn't change stays", w: Wanted{Stack: "shop", Release: 42, Model: stack(web(2, "b"))}, o: serving(41, one)},
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
	once.Services[0].Ports, once.Services[0].Ready, once.Services[0].Restart.Condition = nil, rhumb.Ready{Kind: rhumb.ReadyRunning}, rhumb.RestartNone
	checkAll(t, []look{
		{name: "a replica that the restart policy left dead is tried again", w: deploy(42, model(2), model(2)), o: shown, now: noon.Add(time.Second),
			want: []string{"start shop-web.42.2 (it had ended)"}},
		{name: "a replica that an earlier deployment stopped isn't recorded", w: back, o: dead(143), want: []string{"remove shop-web.41.2 (replaced by shop@41)"}},
		{name: "a replica that has done its work stays", w: deploy(42, once, once), o: serving(41, once).with("web.41.1", died(0)), done: true},
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
		lost.Failures = append(lost.Failures, rhumb.Failure{At: noon.Add(-time.Hour), Service: "web", Slot: 1, Release: 41, ID: string(rune('a' + i)), Reason: "exited with 1"})
	}
	checkAll(t, []look{
		{name: "the old one gets connections again; replicas that never served go", w: w, o: half(),
			want: []string{"route shop-web.41.1 (ready)", "stop shop-web.42.2 (replaced by shop@41)", "stop shop-db.42.1 (not in shop@41)"}},
		{name: "new ones serve until an old one is back", w: w, o: gone(), want: []string{"start shop-web.41.1 (back to shop@41)"}},
		{name: "after three more tries it is given up", w: lost, o: gone(), fail: "it can't be put back", left: []string{"shop-web.41.1: exited with 1", "shop-web.42.1: still there"}},
		{name: "done", w: w, o: serving(41, one), done: true},
		{name: "nothing was there before", w: Wanted{Stack: "shop", Previous: one, Mode: Restore}, o: serving(42, one),
			want: []string{"drain shop-web.42.1 (nothing shall be left)", "drain shop-web.42.2 (nothing shall be left)"}},
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
		{name: "it shares the network of a replica that is gone", w: w, o: joined("web.40.1"), want: []string{"stop shop-side.41.1 (replaced by shop@41)"}},
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

func TestATCPCheckMustPassForItsWindow(t *testing.T) {
	steady := func(image string, order rhumb.Order) *rhumb.Stack {
		s := web(1, image)
		s.Ready.Window, s.Order = 5*time.Second, order
		return stack(s)
	}
	accepts := func(o world, id string) world { o.Accepts = map[string]bool{id: true}; return o }
	rolling, stopFirst := steady("b", rhumb.StartFirst), steady("b", rhumb.StopFirst)
	beside := func(ago time.Duration) world {
		return accepts(serving(41, steady("a", rhumb.StartFirst)).plus(young(&rolling.Services[0], 42, 1, ago), false), "web.42.1")
	}
	alone := func(ago time.Duration) world {
		o := serving(41, stopFirst)
		o.Replicas, o.Ready, o.Routes = nil, map[string]time.Time{}, map[string]Route{}
		return accepts(o.plus(young(&stopFirst.Services[0], 42, 1, ago), false), "web.42.1")
	}
	refuses := alone(time.Minute)
	refuses.Accepts = nil
	checkAll(t, []look{
		{name: "the old one serves until the window has passed", w: deploy(42, steady("a", rhumb.StartFirst), rolling), o: beside(time.Second), wait: "0/1 ready"},
		{name: "where no other replica is there callers don't wait for it", w: deploy(42, steady("a", rhumb.StopFirst), stopFirst), o: alone(time.Second),
			want: []string{"route shop-web.42.1 (nobody else is there)"}, wait: "0/1 ready"},
		{name: "but it isn't done before", w: deploy(42, steady("a", rhumb.StopFirst), stopFirst), o: alone(time.Second).route("web.42.1", Route{}), wait: "0/1 ready"},
		{name: "the window may end after its time if it accepts in time", w: deploy(42, steady("a", rhumb.StopFirst), stopFirst),
			o: alone(time.Minute).route("web.42.1", Route{}), wait: "0/1 ready"},
		{name: "but it must go on accepting", w: deploy(42, steady("a", rhumb.StopFirst), stopFirst), o: refuses.route("web.42.1", Route{}),
			want: []string{"unroute shop-web.42.1 (was not ready within 1m0s)"}, wait: "0/1 ready"},
	})
}

func TestAFirstDeploymentToleratesExitsForAWhile(t *testing.T) {
	one := stack(web(1, "a"))
	one.Services[0].Restart.Condition = rhumb.RestartAny
	failed := func(ago time.Duration, code int, ended bool) rhumb.Failure {
		return rhumb.Failure{Service: "web", Slot: 1, Release: 1, ID: "gone", At: noon.Add(-ago), Reason: "exited with 1 after 1s", ExitCode: code, Ended: ended}
	}
	w := func(f rhumb.Failure, from *rhumb.Stack, change func(*rhumb.Restart)) Wanted {
		w := deploy(1, from, stack(one.Services[0]))
		w.Failures = []rhumb.Failure{f}
		if change != nil {
			change(&w.Model.Services[0].Restart)
		}
		return w
	}
	o := func() world {
		o := serving(1, one)
		o.Replicas, o.Ready, o.Routes = nil, map[string]time.Time{}, map[string]Route{}
		return o
	}
	dead := func() world {
		o := o().plus(young(&one.Services[0], 1, 1, 3*time.Second), false).with("web.1.1", died(1))
		o.Recorded["web.1.1"] = true
		return o
	}
	again := func(ready bool) world { // a replica that goes on failing, or came up, long after the first one had ended
		return o().plus(young(&one.Services[0], 1, 1, 3*time.Second), ready).route("web.1.1", Route{})
	}
	accepting := again(false)
	accepting.Accepts = map[string]bool{"web.1.1": true}
	const why = "web.1 exited with 1 after 1s"
	left := []string{"shop-web.1.1: exited with 1 after 1s"} // the first failure's own reason
	checkAll(t, []look{
		{name: "it is started again after a moment", w: w(failed(0, 1, true), nil, nil), o: dead(), wake: time.Second, wait: "web.1 exited with 1 after 3s; started again at 12:00:01"},
		{name: "until its time is over", w: w(failed(time.Minute, 1, true), nil, nil), o: dead(), fail: why, left: left},
		{name: "also if it runs and isn't ready by then", w: w(failed(time.Minute, 1, true), nil, nil), o: again(false), fail: why, left: left},
		{name: "unless it is ready by then", w: w(failed(time.Minute, 1, true), nil, nil), o: again(true), done: true},
		{name: "or accepts", w: w(failed(time.Minute, 1, true), nil, nil), o: accepting, wait: "0/1 ready"},
		{name: "not where a release serves", w: w(failed(0, 1, true), stack(web(1, "b")), nil), o: dead(), fail: why, left: left},
		{name: "not if the restart policy doesn't start it again", w: w(failed(0, 1, true), nil, func(r *rhumb.Restart) { r.Condition = rhumb.RestartNone }), o: dead(), fail: why, left: left},
		{name: "not if its attempts are used up", w: w(failed(0, 1, true), nil, func(r *rhumb.Restart) { r.MaxAttempts = 1 }), o: dead(), wake: time.Second},
		{name: "not if the command isn't there", w: w(failed(0, 127, true), nil, nil), o: dead(), fail: why, left: left},
		{name: "not if it was never ready", w: w(failed(0, 0, false), nil, nil), o: dead(), fail: why, left: left},
	})
}
