package control

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

func TestAFirstDeploymentBringsEverythingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		d := b.deploy(shop("web:1"))
		if d.Phase != rhumb.PhaseConverged || d.To != 1 {
			t.Fatalf("got %s to %d: %s", d.Phase, d.To, d.Why)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
		st, _ := b.router.Status(context.Background())
		if len(st.Table.Listeners) != 1 || len(st.Table.Backends) != 1 || len(st.Table.Backends[0].Endpoints) != 2 {
			t.Fatalf("table %+v", st.Table)
		}
	})
}

func TestAnUnchangedModelMakesNoRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		d := b.deploy(shop("web:1"))
		if d.ID != 0 || d.Phase != rhumb.PhaseConverged || d.To != 1 {
			t.Fatalf("got %+v", d)
		}
	})
}

func TestAnUpdateReplacesOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		if d := b.deploy(shop("web:2")); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.2.1", "shop-web.2.2")
	})
}

func TestAFailingUpdateIsPutBackAndSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 3})
		m := shop("web:2")
		m.Services[1].Ready.Timeout = time.Minute // it dies before it is ready
		d := b.deploy(m)
		if d.Phase != rhumb.PhaseRolledBack || d.Verdict().Exit != rhumb.ExitRolledBack || len(d.Failures) == 0 ||
			d.Failures[0].ExitCode != 3 {
			t.Fatalf("got %+v", d)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
		info, err := b.Status(context.Background(), "shop")
		if err != nil || info.Release != 1 {
			t.Fatalf("status %+v, %v", info, err)
		}
	})
}

func TestAFailedFirstDeploymentLeavesNothingButVolumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.Behave("web", "web:1", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 1})
		m := shop("web:1")
		m.Services[1].Ready.Timeout = time.Minute
		if d := b.deploy(m); d.Phase != rhumb.PhaseRolledBack {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		b.wantReplicas()
		held, _ := b.engine.Holdings(context.Background(), "shop")
		if len(held.Networks) != 0 || len(held.Volumes) != 1 {
			t.Fatalf("held %+v", held)
		}
	})
}

func TestADeploymentGoesOnAfterTheDaemonDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		m := shop("web:2")
		m.Services[1].Ready.Timeout = 300 * time.Millisecond
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			b.stop()
			b.start()
		}
		if d = b.ends(d); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.2.1", "shop-web.2.2")
	})
}

func TestASecondDeploymentIsRefusedWithWhoAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		m := shop("web:1")
		m.Services[1].Ready.Timeout = time.Second
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m, By: "ada"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Deploy(context.Background(), rhumb.DeployRequest{Model: shop("web:2")}, nil)
		if rhumb.ErrorCode(err) != rhumb.Locked || !strings.Contains(err.Error(), "ada") {
			t.Fatalf("got %v", err)
		}
		b.ends(d)
	})
}

func TestAKilledReplicaIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		reps, _ := b.engine.Replicas(context.Background(), "shop")
		b.engine.Kill(reps[1].ID, 137)
		b.eventually(func() bool {
			now, _ := b.engine.Replicas(context.Background(), "shop")
			st, _ := b.router.Status(context.Background())
			return len(now) == 3 && now[1].Alive() && now[1].ID != reps[1].ID &&
				len(st.Table.Backends[0].Endpoints) == 2
		})
	})
}

func TestRepeatedCrashesAreAnnouncedWithTheirBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		for range 3 {
			reps, _ := b.engine.Replicas(context.Background(), "shop")
			b.engine.Kill(reps[1].ID, 1)
			b.eventually(func() bool {
				now, _ := b.engine.Replicas(context.Background(), "shop")
				return len(now) == 3 && now[1].Alive() && now[1].ID != reps[1].ID
			})
		}
		var announced []string
		for e := range b.Events(context.Background(), rhumb.EventFilter{Stack: "shop"}) {
			if e.Kind == rhumb.EventBackoff {
				announced = append(announced, e.Text)
			}
		}
		want := []string{"crashed 2 times in a row; started again in 2s",
			"crashed 3 times in a row; started again in 4s"}
		if !slices.Equal(announced, want) {
			t.Fatalf("announced %q", announced)
		}
	})
}

func TestScaleRestartAndRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseScale, Scale: map[string]int{"web": 3}})
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2", "shop-web.2.3")
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseRestart, Services: []string{"web"}})
		b.wantReplicas("shop-db.1.1", "shop-web.3.1", "shop-web.3.2", "shop-web.3.3")
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseRollback, Release: 1})
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
		if _, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop",
			Cause: rhumb.CauseRollback}); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Fatalf("nothing is before release 1: %v", err)
		}
	})
}

func TestAPortThatAnotherHoldsIsRefusedBeforeAnythingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.router.Hold("[::]:8080")
		_, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: shop("web:1")}, nil)
		if rhumb.ErrorCode(err) != rhumb.Conflict {
			t.Fatalf("got %v", err)
		}
		if _, err := b.Status(context.Background(), "shop"); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Fatalf("got %v", err)
		}
	})
}

func TestTwoStacksCanNotPublishOnePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		other := shop("web:1")
		other.Name, other.Networks, other.Volumes = "other", nil, nil
		_, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: other}, nil)
		if rhumb.ErrorCode(err) != rhumb.Conflict || !strings.Contains(err.Error(), "shop/web") {
			t.Fatalf("got %v", err)
		}
	})
}

func TestCancelPutsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		m := shop("web:2")
		m.Services[1].Ready.Timeout = time.Minute
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Cancel(context.Background(), "shop", d.ID, "ada"); err != nil {
			t.Fatal(err)
		}
		if d = b.ends(d); d.Verdict().Exit != rhumb.ExitCancelled || !strings.Contains(d.Verdict().Text, "ada") {
			t.Fatalf("got %+v", d.Verdict())
		}
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
	})
}

func TestOldReleasesGoWithTheirImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.care.Keep = 2
		for _, img := range []string{"web:1", "web:2", "web:3", "web:4"} {
			b.deploy(shop(img))
		}
		b.eventually(func() bool {
			list, err := b.Releases(context.Background(), "shop")
			return err == nil && len(list) == 2 && list[0].Number == 4 && list[1].Number == 3
		})
	})
}

func TestADeploymentKeepsTheIDOfItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: shop("web:1"), ID: "first"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseScale, Scale: map[string]int{"web": 3}, ID: "second"})
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseRollback, Release: 1, ID: "third"})
		b.change(rhumb.ChangeRequest{Cause: rhumb.CauseDown, ID: "fourth"})
		all, err := b.Deployments(context.Background(), "shop", 0)
		var ids []string
		for _, d := range all {
			ids = append(ids, d.Request)
		}
		if want := []string{"fourth", "third", "second", "first"}; err != nil || !slices.Equal(ids, want) {
			t.Errorf("the deployments have the requests %q (%v), want %q", ids, err, want)
		}
	})
}

// change makes a change and wants it to converge.
func (b *bed) change(r rhumb.ChangeRequest) rhumb.Deployment {
	b.t.Helper()
	r.Stack = "shop"
	d, err := b.Change(context.Background(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	if d = b.ends(d); d.Phase != rhumb.PhaseConverged {
		b.t.Fatalf("%s: got %s: %s", r.Cause, d.Phase, d.Why)
	}
	return d
}

// wantReplicas wants these replicas and no others, in a moment.
func (b *bed) wantReplicas(names ...string) {
	b.t.Helper()
	b.eventually(func() bool {
		reps, err := b.engine.Replicas(context.Background(), "shop")
		if err != nil || len(reps) != len(names) {
			return false
		}
		for i, r := range reps {
			if _, _, hook := rhumb.HookOf(r.Service); r.Name() != names[i] || !r.Alive() && !hook {
				return false
			}
		}
		return true
	})
}

// eventually waits until cond holds, in the bubble's own time: what it waits for is done by the Control's goroutines.
func (b *bed) eventually(cond func() bool) {
	b.t.Helper()
	for range 500 {
		if cond() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	reps, _ := b.engine.Replicas(context.Background(), "shop")
	for _, r := range reps {
		b.t.Logf("%s %s %s", r.Name(), r.State, r.ID)
	}
	b.t.Fatal("it has not come to that")
}

func TestARetriedStepIsAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.Fail("EnsureNetwork", 2, rhumb.Errorf(rhumb.Unavailable, "the engine is busy"))
		if d := b.deploy(shop("web:1")); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		var announced []string
		for e := range b.Events(context.Background(), rhumb.EventFilter{Stack: "shop"}) {
			if e.Kind == rhumb.EventWarning {
				announced = append(announced, e.Replica+e.Text)
			}
		}
		if !slices.Equal(announced, []string{"the engine is busy; trying again"}) {
			t.Fatalf("announced %q", announced)
		}
	})
}

func TestEngineWarningsAreAnnouncedOncePerService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.Behave("web", "", enginefake.Behaviour{Warnings: []string{"weight discarded"}})
		if d := b.deploy(shop("web:1")); d.Phase != rhumb.PhaseConverged {
			t.Fatalf("got %s: %s", d.Phase, d.Why)
		}
		var announced []string
		for e := range b.Events(context.Background(), rhumb.EventFilter{Stack: "shop"}) {
			if e.Kind == rhumb.EventWarning {
				announced = append(announced, e.Replica+": "+e.Text)
			}
		}
		if !slices.Equal(announced, []string{"shop-web.1.1: the engine warns: weight discarded"}) {
			t.Fatalf("announced %q", announced)
		}
	})
}
