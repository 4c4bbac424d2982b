package control

import (
	"context"
	"sync/atomic"
	"testing"
)

func TestTheFilesOfAReplicaThatDrainedAreSweptOnceItIsGone(t *testing.T) {
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
