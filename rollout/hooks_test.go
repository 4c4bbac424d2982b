package rollout

import (
	"slices"
	"testing"
	"time"

	"rhumb"
)

// hooked returns a stack of db and web, which has a pre_start hook that needs db.
func hooked(image, database string) *rhumb.Stack {
	on := rhumb.Dependency{Service: "db", Condition: rhumb.DependsHealthy}
	w := web(2, image)
	w.DependsOn = []rhumb.Dependency{on, {Service: "web.pre_start.1", Condition: rhumb.DependsCompleted}}
	h := rhumb.Service{Name: "web.pre_start.1", Job: true, Replicas: 1, DependsOn: []rhumb.Dependency{on},
		Container: rhumb.Container{Image: "tool",
			RestartOn: map[string]string{"web": w.Container.Hash()}},
		Ready: rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: 5 * time.Minute}}
	return stack(db(database), w, h)
}

func TestHooksRunBeforeTheirServiceChanges(t *testing.T) {
	one, two := hooked("a", "x"), hooked("b", "y")
	hook := young(two.Service("web.pre_start.1"), 42, 1, time.Second)
	running := serving(41, one).plus(hook, false)
	ended := func(code int) world {
		r := hook
		died(code)(&r)
		return serving(41, one).plus(r, false)
	}
	long := func(state rhumb.ReplicaState) world {
		r := hook
		r.Started = noon.Add(-5 * time.Minute)
		if state == rhumb.StateExited {
			died(0)(&r)
		}
		return serving(41, one).plus(r, false)
	}
	first := world{Ready: map[string]time.Time{}, Recorded: map[string]bool{}, Routes: map[string]Route{},
		Published: map[string]string{"*:80/tcp": "web"}}
	failed := deploy(42, one, two)
	failed.Failures = []rhumb.Failure{{At: noon, Service: "web.pre_start.1", Slot: 1, Release: 42, ID: hook.ID,
		Reason: "exited with 1"}}
	none := serving(41, one)
	none.Replicas = slices.DeleteFunc(none.Replicas, func(r rhumb.Replica) bool { return r.Service != "db" })
	never := hooked("a", "x")
	checkAll(t, []look{
		{name: "it runs on the database that is there, which changes later", w: deploy(42, one, two),
			o: serving(41, one), want: []string{"run shop-web.pre_start.1.42.1 (before web changes)"},
			wait: `waits for hook "pre_start of web"`},
		{name: "in a first deployment it waits for the database", w: deploy(42, nil, two), o: first,
			want: []string{"start shop-db.42.1 (new)"}},
		{name: "nothing changes while it runs", w: deploy(42, one, two), o: running},
		{name: "then everything else changes", w: deploy(42, one, two), o: ended(0),
			want: []string{"stop shop-db.41.1 (image changed)",
				"remove shop-web.pre_start.1.41.1 (replaced by shop@42)"}},
		{name: "a hook that takes too long is stopped", w: deploy(42, one, two), o: long(rhumb.StateRunning),
			want: []string{"stop shop-web.pre_start.1.42.1 (took longer than 5m0s)"}},
		{name: "and has failed, whatever its exit code is", w: deploy(42, one, two), o: long(rhumb.StateExited),
			want: []string{"record shop-web.pre_start.1.42.1 (took longer than 5m0s)"}},
		{name: "a failure is named in plain words", w: failed, o: ended(1),
			fail: `hook "pre_start of web" exited with 1`,
			left: []string{"shop-db.42.1: isn't ready", "shop-web.42.1: isn't ready", "shop-web.42.2: isn't ready"}},
		{name: "it doesn't run for a service that doesn't change", w: deploy(42, one, hooked("a", "x")),
			o: serving(41, one), done: true},
		{name: "unless the deployment before ended too soon", w: deploy(42, never, hooked("a", "x")), o: none,
			want: []string{"run shop-web.pre_start.1.42.1 (before web changes)"}},
	})
}

func TestAReplicaIsNotReadyBeforeItsPostStartHooks(t *testing.T) {
	one, two := stack(web(1, "a")), stack(web(1, "b"))
	r := young(&two.Services[0], 42, 1, 2*time.Minute)
	with := func(done time.Time, ready bool) world {
		o := serving(41, one).plus(r, ready)
		o.PostStart = map[string]time.Time{r.ID: done}
		return o
	}
	checkAll(t, []look{
		{name: "before, it is neither routed nor late", w: deploy(42, one, two), o: with(time.Time{}, true)},
		{name: "its time to be ready begins when they end", w: deploy(42, one, two),
			o: with(noon.Add(-time.Second), false), wake: 59 * time.Second},
		{name: "then it is routed", w: deploy(42, one, two), o: with(noon.Add(-time.Second), true),
			want: []string{"route shop-web.42.1 (ready)"}},
	})
}

func TestADeploymentHasConvergedOnceItsChecksHavePassed(t *testing.T) {
	model := func(image string) *rhumb.Stack {
		s := web(1, image)
		s.After = &rhumb.Check{Path: "/", Port: 80, Timeout: time.Minute}
		return stack(s)
	}
	one, two := model("a"), model("b")
	passed := deploy(42, one, two)
	passed.Checked = []string{"web"}
	failed := deploy(42, one, two)
	failed.Failures = []rhumb.Failure{{At: noon, Service: "web", Release: 42, Reason: "after: GET /: 500"}}
	scaled := deploy(42, one, two)
	scaled.RunJobs = false
	checkAll(t, []look{
		{name: "checked once everything is in place", w: deploy(42, one, two), o: serving(42, two),
			want: []string{"check web (before shop@42 counts as converged)"}, wait: "checked"},
		{name: "not earlier", w: deploy(42, one, two), o: serving(41, one),
			want: []string{"start shop-web.42.1 (image changed)"}},
		{name: "passed: it is done", w: passed, o: serving(42, two), done: true},
		{name: "a failure fails the deployment", w: failed, o: serving(42, two), fail: "web: after: GET /: 500",
			left: []string{"web: after: GET /: 500"}},
		{name: "only deployments of new files are checked", w: scaled, o: serving(42, two), done: true},
	})
}
