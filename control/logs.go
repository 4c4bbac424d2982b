package control

import (
	"context"
	"iter"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/logs"
)

// Logs merges the output of the services' replicas by time. With Follow it goes on,
// also with replicas that start later.
func (c inspector) Logs(
	ctx context.Context, stack string, services []string, o rhumb.LogOptions,
) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		replicas, err := c.logged(ctx, stack, services)
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		if !o.Follow {
			logs.Merge(ctx, c.Engine.Logs, replicas, o, yield)
			return
		}
		old := o
		old.Follow = false
		from := time.Now()
		old.Until = from // what comes later is followed
		if old.Tail >= 0 && !logs.Merge(ctx, c.Engine.Logs, replicas, old, yield) {
			return
		}
		list := func(ctx context.Context) ([]rhumb.Replica, error) { return c.logged(ctx, stack, services) }
		logs.Follow(ctx, c.Engine.Logs, list, from, yield)
	}
}

// logged lists the replicas of the services; of all services if none is named.
func (c inspector) logged(ctx context.Context, stack string, services []string) ([]rhumb.Replica, error) {
	replicas, err := c.Engine.Replicas(ctx, stack)
	if err != nil {
		return nil, err
	}
	if len(replicas) == 0 {
		if _, _, err := c.currentModel(ctx, stack); err != nil {
			return nil, err
		}
	}
	for _, s := range services {
		if !slices.ContainsFunc(replicas, func(r rhumb.Replica) bool { return r.Service == s }) {
			if _, m, err := c.currentModel(ctx, stack); err != nil || m.Service(s) == nil {
				return nil, c.missingService(ctx, stack, s)
			}
		}
	}
	return slices.DeleteFunc(replicas, func(r rhumb.Replica) bool {
		return len(services) > 0 && !slices.Contains(services, r.Service)
	}), nil
}
