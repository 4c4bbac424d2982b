package rollout

import (
	"testing"
	"time"

	"rhumb"
)

func TestFailuresAreCountedAgainstTheRatio(t *testing.T) {
	one, two := stack(web(4, "a")), stack(web(4, "b"))
	now := &two.Services[0]
	now.Update.MaxFailureRatio = 0.25
	w := deploy(42, one, two)
	dead := young(now, 42, 1, 3*time.Second)
	died(1)(&dead)
	failure := func(slot int, id string) rhumb.Failure {
		return rhumb.Failure{At: noon, Service: "web", Slot: slot, Release: 42, ID: id,
			Reason: "exited with 1 before it was ready"}
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
		{name: "a dead replica is recorded first", w: w, o: serving(41, one).plus(dead, false),
			want: []string{"record shop-web.42.1 (exited with 1 after 3s)"}},
		{name: "within the ratio it is tried again, later", w: with(failure(1, "web.42.1")), o: recorded(),
			wake: time.Second,
			wait: "web.1 exited with 1 after 3s; started again at 12:00:01"},
		{name: "then it is started", w: with(failure(1, "web.42.1")), o: recorded(), now: noon.Add(time.Second),
			want: []string{"start shop-web.42.1 (it had ended)"}},
		{name: "a failure that is recorded twice counts once", w: with(failure(1, "web.42.1"), failure(1, "web.42.1")),
			o: recorded(), wake: time.Second},
		{name: "beyond it the deployment fails", w: with(failure(1, "web.42.1"), failure(1, "x")), o: recorded(),
			fail: "web.1 exited with 1 before it was ready",
			left: []string{"shop-web.42.1: exited with 1 before it was ready", "shop-web.42.2: isn't ready",
				"shop-web.42.3: isn't ready", "shop-web.42.4: isn't ready"}},
		{name: "continue goes on with the other slots", w: ratio(rhumb.ActionContinue), o: recorded(),
			want: []string{"start shop-web.42.2 (image changed)"}},
		{name: "a routed replica leaves the table first", w: w,
			o:    serving(41, one).plus(dead, false).route("web.42.1", Route{}),
			want: []string{"unroute shop-web.42.1 (exited with 1 after 3s)"}},
		{name: "an address that can't be bound always fails",
			w: with(rhumb.Failure{At: noon, Service: "web", Release: 42, Reason: "*:80/tcp is taken"}),
			o: serving(41, one), fail: "web: *:80/tcp is taken",
			left: []string{"shop-web.42.1: isn't ready", "shop-web.42.2: isn't ready",
				"shop-web.42.3: isn't ready", "shop-web.42.4: isn't ready", "web: *:80/tcp is taken"}},
	})
	for action, want := range map[rhumb.FailureAction]rhumb.FailureAction{"": rhumb.ActionRollback,
		rhumb.ActionPause: rhumb.ActionPause} {
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
		{name: "a minute", w: w, o: empty().plus(young(def, 1, 1, time.Minute), false),
			want: []string{"record shop-web.1.1 (was not ready within 1m0s)"}},
		{name: "which starts again with the daemon", w: w, o: late, wake: 50 * time.Second},
		{name: "an unhealthy replica isn't ready", w: w, o: empty().plus(sick, true),
			want: []string{"record shop-web.1.1 (is unhealthy)"}},
		{name: "a replica without a check must run for a while", w: deploy(1, nil, plain),
			o: empty().plus(young(&plain.Services[0], 1, 1, 2*time.Second), false), wake: 3 * time.Second},
		{name: "and is ready then", w: deploy(1, nil, plain),
			o: empty().plus(young(&plain.Services[0], 1, 1, 5*time.Second),
				false), want: []string{"route shop-web.1.1 (ready)"}},
	})
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
		return accepts(serving(41, steady("a", rhumb.StartFirst)).plus(young(&rolling.Services[0], 42, 1, ago), false),
			"web.42.1")
	}
	alone := func(ago time.Duration) world {
		o := serving(41, stopFirst)
		o.Replicas, o.Ready, o.Routes = nil, map[string]time.Time{}, map[string]Route{}
		return accepts(o.plus(young(&stopFirst.Services[0], 42, 1, ago), false), "web.42.1")
	}
	refuses := alone(time.Minute)
	refuses.Accepts = nil
	checkAll(t, []look{
		{name: "the old one serves until the window has passed", w: deploy(42, steady("a", rhumb.StartFirst), rolling),
			o: beside(time.Second), wait: "0/1 ready"},
		{name: "where no other replica is there callers don't wait for it",
			w: deploy(42, steady("a", rhumb.StopFirst), stopFirst), o: alone(time.Second),
			want: []string{"route shop-web.42.1 (no other replica is there)"}, wait: "0/1 ready"},
		{name: "but it isn't done before", w: deploy(42, steady("a", rhumb.StopFirst), stopFirst),
			o: alone(time.Second).route("web.42.1", Route{}), wait: "0/1 ready"},
		{name: "the window may end after its time if it accepts in time",
			w: deploy(42, steady("a", rhumb.StopFirst), stopFirst),
			o: alone(time.Minute).route("web.42.1", Route{}), wait: "0/1 ready"},
		{name: "but it must go on accepting", w: deploy(42, steady("a", rhumb.StopFirst), stopFirst),
			o:    refuses.route("web.42.1", Route{}),
			want: []string{"unroute shop-web.42.1 (was not ready within 1m0s)"}, wait: "0/1 ready"},
	})
}

func TestAFirstDeploymentToleratesExitsForAWhile(t *testing.T) {
	one := stack(web(1, "a"))
	one.Services[0].Restart.Condition = rhumb.RestartAny
	failed := func(ago time.Duration, code int, ended bool) rhumb.Failure {
		return rhumb.Failure{Service: "web", Slot: 1, Release: 1, ID: "gone", At: noon.Add(-ago),
			Reason: "exited with 1 after 1s", ExitCode: code, Ended: ended}
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
		{name: "it is started again after a moment", w: w(failed(0, 1, true), nil, nil), o: dead(), wake: time.Second,
			wait: "web.1 exited with 1 after 3s; started again at 12:00:01"},
		{name: "until its time is over", w: w(failed(time.Minute, 1, true), nil, nil), o: dead(), fail: why,
			left: left},
		{name: "also if it runs and isn't ready by then", w: w(failed(time.Minute, 1, true), nil, nil), o: again(false),
			fail: why, left: left},
		{name: "unless it is ready by then", w: w(failed(time.Minute, 1, true), nil, nil), o: again(true), done: true},
		{name: "or accepts", w: w(failed(time.Minute, 1, true), nil, nil), o: accepting, wait: "0/1 ready"},
		{name: "not where a release serves", w: w(failed(0, 1, true), stack(web(1, "b")), nil), o: dead(), fail: why,
			left: left},
		{name: "not if the restart policy doesn't start it again",
			w: w(failed(0, 1, true), nil,
				func(r *rhumb.Restart) { r.Condition = rhumb.RestartNone }), o: dead(), fail: why, left: left},
		{name: "not if its attempts are used up",
			w: w(failed(0, 1, true), nil, func(r *rhumb.Restart) { r.MaxAttempts = 1 }), o: dead(), wake: time.Second},
		{name: "not if the command isn't there", w: w(failed(0, 127, true), nil, nil), o: dead(), fail: why,
			left: left},
		{name: "not if it was never ready", w: w(failed(0, 0, false), nil, nil), o: dead(), fail: why, left: left},
	})
}
