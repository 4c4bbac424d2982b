package control

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestFilesOfADrainedReplicaArePrunedOnceItIsGone(t *testing.T) {
	b := newBed(t)
	b.stop()
	var olds atomic.Int64 // replicas of the first release when the last sweep began
	olds.Store(-1)
	b.sweep = func(ctx context.Context) error {
		list, err := b.engine.Replicas(ctx, "shop")
		n := int64(0)
		for _, r := range list {
			if r.Service == "web" && r.Release == 1 {
				n++
			}
		}
		olds.Store(n)
		return err
	}
	b.start()
	b.deploy(shop("nginx:1"))
	b.eventually(func() bool { return olds.Load() == 2 })
	b.deploy(shop("nginx:2"))
	b.eventually(func() bool { return olds.Load() == 0 })
}

func TestImagesOfADeploymentThatWaitsForADownAreNotTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		m := shop("web:1")
		m.Services[1].Drain = 5 * time.Second
		b.deploy(m)
		reps, err := b.engine.Replicas(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		b.router.Open(reps[1].ID, 1)
		down, err := b.Change(t.Context(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown})
		if err != nil {
			t.Fatal(err)
		}
		up, err := b.Deploy(t.Context(), rhumb.DeployRequest{Model: m, WaitLock: time.Minute}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if down = b.ends(down); down.Phase != rhumb.PhaseConverged {
			t.Errorf("down: %s: %s", down.Phase, down.Why)
		}
		if up = b.ends(up); up.Phase != rhumb.PhaseConverged {
			t.Errorf("up again: %s: %s", up.Phase, up.Why)
		}
	})
}
