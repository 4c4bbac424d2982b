package enginefake_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func spec(service string, slot int) rhumb.ReplicaSpec {
	c := rhumb.Container{Image: service + ":1", ImageID: enginefake.ImageID(service + ":1"),
		Health: &rhumb.Healthcheck{Test: []string{"CMD", "x"}}}
	return rhumb.ReplicaSpec{Stack: "shop", Service: service, Release: 1, Slot: slot, Container: c, Spec: "s"}
}

func start(t testing.TB, e *enginefake.Engine, s rhumb.ReplicaSpec) rhumb.Replica {
	t.Helper()
	r, err := e.Start(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func look(t testing.TB, e *enginefake.Engine) rhumb.Replica {
	t.Helper()
	rs, err := e.Replicas(context.Background(), "shop")
	if err != nil || len(rs) != 1 {
		t.Fatalf("%+v, %v", rs, err)
	}
	return rs[0]
}

func TestAReplicaIsWhatTheClockSays(t *testing.T) {
	c := newClock()
	e := enginefake.New(c.now)
	e.Behave("web", "", enginefake.Behaviour{ReadyAfter: 2 * time.Second, ExitAfter: 10 * time.Second, ExitCode: 9,
		OOM: true, Flaps: 3 * time.Second})
	r := start(t, e, spec("web", 1))
	begun := c.at
	for _, step := range []struct {
		after  time.Duration
		state  rhumb.ReplicaState
		health rhumb.Health
	}{
		{0, rhumb.StateRunning, rhumb.HealthStarting},
		{2 * time.Second, rhumb.StateRunning, rhumb.HealthHealthy},
		{5 * time.Second, rhumb.StateRunning, rhumb.HealthUnhealthy},
		{8 * time.Second, rhumb.StateRunning, rhumb.HealthHealthy},
		{10 * time.Second, rhumb.StateExited, rhumb.HealthHealthy},
		{time.Hour, rhumb.StateExited, rhumb.HealthHealthy},
	} {
		c.at = begun.Add(step.after)
		got := look(t, e)
		if got.State != step.state || got.Health != step.health {
			t.Errorf("after %v: %s and %s, want %s and %s", step.after, got.State, got.Health, step.state, step.health)
		}
		probe := e.Probe(t.Context(), r.ID, rhumb.Healthcheck{})
		if (probe == nil) != (step.health == rhumb.HealthHealthy && got.Alive()) {
			t.Errorf("after %v the probe says %v", step.after, probe)
		}
	}
	if got := look(t, e); got.ExitCode != 9 || !got.OOM || !got.Finished.Equal(begun.Add(10*time.Second)) {
		t.Errorf("exited: %+v", got)
	}
}

func TestTheMostExactBehaviourCounts(t *testing.T) {
	e := enginefake.New(newClock().now)
	e.Behave("", "", enginefake.Behaviour{ExitAtOnce: true, ExitCode: 1})
	e.Behave("", "web:1", enginefake.Behaviour{ExitAtOnce: true, ExitCode: 2})
	e.Behave("db", "", enginefake.Behaviour{ExitAtOnce: true, ExitCode: 3})
	e.Behave("db", enginefake.ImageID("db:1"), enginefake.Behaviour{ExitAtOnce: true, ExitCode: 4})
	for service, want := range map[string]int{"cache": 1, "web": 2, "db": 4} {
		if r := start(t, e, spec(service, 1)); r.State != rhumb.StateExited || r.ExitCode != want {
			t.Errorf("%s: %+v, want exit code %d", service, r, want)
		}
	}
}

func TestFaultsHappenAsOftenAsAsked(t *testing.T) {
	e := enginefake.New(newClock().now)
	broken := errors.New("broken")
	e.Fail("Start", 2, broken)
	for i := range 3 {
		if _, err := e.Start(t.Context(), spec("web", 1)); (i < 2) != errors.Is(err, broken) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	e.Behave("db", "", enginefake.Behaviour{StartError: broken})
	if _, err := e.Start(t.Context(), spec("db", 1)); !errors.Is(err, broken) {
		t.Errorf("start error: %v", err)
	}
	if r := look(t, e); r.Service != "web" {
		t.Errorf("what could not be made is there: %+v", r)
	}
}

func TestWhatIsDoneByHandIsSeen(t *testing.T) {
	c := newClock()
	e := enginefake.New(c.now)
	r := start(t, e, spec("web", 1))
	e.Pause(r.ID, true)
	if got := look(t, e); got.State != rhumb.StatePaused {
		t.Errorf("paused: %+v", got)
	}
	e.Pause(r.ID, false)
	e.KillOOM(r.ID)
	if got := look(t, e); got.State != rhumb.StateExited || got.ExitCode != 137 || !got.OOM {
		t.Errorf("killed: %+v", got)
	}
	e.Drop(r.ID)
	if rs, err := e.Replicas(t.Context(), ""); err != nil || len(rs) != 0 {
		t.Errorf("dropped: %+v, %v", rs, err)
	}
}

func TestAWatchReportsWhatTheClockBrings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginefake.New(time.Now)
		e.Behave("web", "", enginefake.Behaviour{ReadyAfter: time.Second, ExitAfter: time.Minute})
		changes, err := e.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		start(t, e, spec("web", 1))
		var at []time.Duration
		for range 3 {
			<-changes
			at = append(at, time.Since(begun))
		}
		if !slices.Equal(at, []time.Duration{0, time.Second, time.Minute}) {
			t.Errorf("changes at %v", at)
		}
	})
}

func TestAWatchOfAnotherClockNeedsTick(t *testing.T) {
	c := newClock()
	e := enginefake.New(c.now)
	e.Behave("web", "", enginefake.Behaviour{ExitAfter: time.Hour})
	start(t, e, spec("web", 1))
	changes, err := e.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the watch may have looked at any time before
		e.Hold(func() { c.at = c.at.Add(time.Hour) })
		e.Tick()
	}
	if got := <-changes; got.Stack != "shop" {
		t.Errorf("the change: %+v", got)
	}
}

func TestLostEventsAreNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginefake.New(time.Now)
		changes, err := e.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e.LoseEvents(true)
		r := start(t, e, spec("web", 1))
		e.Kill(r.ID, 1)
		synctest.Wait()
		e.LoseEvents(false)
		e.Drop(r.ID)
		<-changes
		synctest.Wait()
		select {
		case c := <-changes:
			t.Errorf("a change besides the removal: %+v", c)
		default:
		}
	})
}

func TestAnEngineThatGoesAwayEndsItsWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := enginefake.New(time.Now)
		changes, err := e.Watch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e.Away(true)
		if c, ok := <-changes; ok {
			t.Errorf("the watch sent %+v instead of ending", c)
		}
		if _, err := e.Replicas(t.Context(), ""); rhumb.ErrorCode(err) != rhumb.Unavailable {
			t.Errorf("away: %v", err)
		}
		e.Away(false)
		if _, err := e.Watch(t.Context()); err != nil {
			t.Errorf("back: %v", err)
		}
	})
}

// BenchmarkDeployment is what one deployment of ten replicas asks of the engine, one replica after another.
func BenchmarkDeployment(b *testing.B) {
	ctx := context.Background()
	for b.Loop() {
		c := newClock()
		e := enginefake.New(c.now)
		for release := 1; release <= 2; release++ {
			for slot := 1; slot <= 10; slot++ {
				s := spec("web", slot)
				s.Release = release
				start(b, e, s)
				c.at = c.at.Add(time.Second)
				rs, err := e.Replicas(ctx, "shop")
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range rs {
					if r.Release < release && r.Slot == slot {
						if err := errors.Join(e.Stop(ctx, r.ID), e.Remove(ctx, r.ID)); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
		}
	}
}
