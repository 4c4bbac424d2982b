package control

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestPlansAndQuestionsStartNoRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 20 {
			m := shop("web:1")
			m.Name = fmt.Sprintf("pr%d", i)
			if _, err := b.Plan(t.Context(), rhumb.DeployRequest{Model: m}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Status(t.Context(), m.Name); rhumb.ErrorCode(err) != rhumb.NotFound {
				t.Errorf("status of a stack that isn't deployed: %v", err)
			}
			_, err := b.Run(t.Context(), m.Name, "web", rhumb.ExecOptions{})
			if rhumb.ErrorCode(err) != rhumb.NotFound {
				t.Errorf("run in a stack that isn't deployed: %v", err)
			}
		}
		synctest.Wait()
		if names := b.stacks.Stacks(); len(names) != 0 {
			t.Errorf("runners of stacks that were never deployed: %q", names)
		}
	})
}

func TestAStackThatIsDownHasNoRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for range 2 { // it can come back
			if d := b.deploy(shop("web:1")); d.Phase != rhumb.PhaseConverged {
				t.Fatalf("%s: %s", d.Phase, d.Why)
			}
			if names := b.stacks.Stacks(); len(names) != 1 {
				t.Errorf("while it is up: %q", names)
			}
			b.change(rhumb.ChangeRequest{Cause: rhumb.CauseDown, Volumes: true})
			b.eventually(func() bool { return len(b.stacks.Stacks()) == 0 })
		}
		b.stop()
		b.start()
		synctest.Wait()
		if names := b.stacks.Stacks(); len(names) != 0 {
			t.Errorf("after a restart: %q", names)
		}
	})
}

func TestAStackWhoseFirstDeploymentFailedHasNoRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		if d := b.failing("web:1"); d.Phase != rhumb.PhaseRolledBack {
			t.Fatalf("%s: %s", d.Phase, d.Why)
		}
		b.eventually(func() bool { return len(b.stacks.Stacks()) == 0 })
	})
}

func TestADeploymentThatBeginsAsItsRunnerEndsGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for i := range 10 { // beginning later each time after the stack is down
			b.deploy(shop("web:1"))
			b.change(rhumb.ChangeRequest{Cause: rhumb.CauseDown, Volumes: true})
			time.Sleep(time.Duration(i) * 3 * time.Millisecond)
		}
	})
}

func TestNothingOutlivesHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left at its end
		b := newBed(t)
		b.deploy(shop("web:1"))
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				for ctx.Err() == nil {
					b.stacks.For(fmt.Sprintf("other%d", i))
					time.Sleep(time.Duration(i+1) * 100 * time.Microsecond)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		b.stop()
		time.Sleep(5 * time.Millisecond) // stacks are still asked for
		cancel()
		callers.Wait()
		waiting := len(b.stacks.Stacks())
		time.Sleep(time.Minute) // they wait for the next Hold
		if left := len(b.stacks.Stacks()); left != waiting || left == 0 {
			t.Errorf("%d stacks wait for a runner, and then %d", waiting, left)
		}
		b.stop = func() {}
	})
}
