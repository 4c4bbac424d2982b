// Package oneoff runs containers beside a stack's replicas: hooks that run before a start, checks, and what people
// run by hand. They have slot 0, join the networks and mounts of a service, and serve nothing.
package oneoff

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/scene"
	"rhumb/internal/pause"
)

// Engine runs one-offs and makes the networks and volumes that they need.
type Engine interface {
	Replicas
	Holdings
}

// Replicas runs one-offs and ends them.
type Replicas interface {
	Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error)
	Run(ctx context.Context, spec rhumb.ReplicaSpec, s rhumb.Streams) (int, error)
	Stop(ctx context.Context, id string) error
	Remove(ctx context.Context, id string) error
}

// Holdings makes the networks and volumes of a release that doesn't serve.
type Holdings interface {
	EnsureNetwork(ctx context.Context, stack string, n rhumb.Network) error
	EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error
	RemoveNetwork(ctx context.Context, stack, name string) error
}

// Deps is what a Room works with. All are required.
type Deps struct {
	Engine  Engine
	Sources scene.Sources
	Started time.Time // when the daemon started: older one-offs are an earlier daemon's
	// Lock keeps deployments of a stack from being opened until unlock is called.
	Lock    func(ctx context.Context, stack string) (unlock func(), err error)
	Changed func(stack string) // a network or volume of the stack was made or removed
	Log     *slog.Logger
}

// Room runs one-offs. It knows which networks they use that no release wants.
type Room struct {
	Deps
	mu   sync.Mutex
	lent map[loan]int // how many one-offs use the network
}

type loan struct{ stack, network string }

// New returns a Room in which nothing runs.
func New(d Deps) *Room { return &Room{Deps: d, lent: map[loan]int{}} }

// ForHook returns what the engine needs for a container beside a service's replicas.
func ForHook(s *scene.Scene, svc *rhumb.Service, k rhumb.Container, slot int) rhumb.ReplicaSpec {
	beside := *svc
	beside.Container = k
	spec := scene.Spec(s.Wanted.Model, &beside)
	spec.Slot, spec.Joined = slot, s.Joined(&beside, slot)
	return spec
}

// Beside runs a hook in a container of its own and returns the record of how it went. It ends what an earlier daemon
// left of the hook first. After an error it isn't known how the hook went: the engine can't be reached, or ctx has
// ended.
func (r *Room) Beside(
	ctx context.Context, s *scene.Scene, spec rhumb.ReplicaSpec, run rhumb.HookRun, limit time.Duration,
) (rhumb.HookRun, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	for _, rep := range s.Observed.Replicas {
		if rep.OneOff == spec.OneOff && rep.Service == spec.Service {
			if err := r.end(ctx, rep); err != nil {
				return run, err
			}
		}
	}
	var err error
	if spec.Hosts, err = r.Sources.Names(ctx, s, &spec.Container); err != nil {
		return run, err
	}
	var out card.Tail
	began := time.Now()
	var late *time.Timer // started when the container runs: a slow engine isn't the hook's fault
	code, err := r.Engine.Run(ctx, spec, rhumb.Streams{Out: &out, Err: &out, Begun: func() {
		began, late = time.Now(), time.AfterFunc(limit, func() { end(card.ErrTooLong) })
	}})
	if late != nil {
		late.Stop()
	}
	if err != nil && (Abandoned(ctx) || rhumb.ErrorCode(err) == rhumb.Unavailable) {
		return run, err
	}
	card.Finish(&run, &out, began, card.Failed(ctx, limit, code, err))
	return run, nil
}

// Abandoned reports whether a hook's context has ended for another reason than that the hook took too long.
func Abandoned(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), card.ErrTooLong)
}

// end stops and removes a one-off.
func (r *Room) end(ctx context.Context, rep rhumb.Replica) error {
	if err := r.Engine.Stop(ctx, rep.ID); err != nil {
		return err
	}
	return r.Engine.Remove(ctx, rep.ID)
}

// EndOlder ends the one-offs of a stack that an earlier daemon left: no client is attached to them. It tries until it
// has succeeded or ctx ends.
func (r *Room) EndOlder(ctx context.Context, stack string) {
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, time.Minute) {
		list, err := r.Engine.Replicas(ctx, stack)
		for _, rep := range list {
			if rep.OneOff != "" && rep.Created.Before(r.Started) {
				r.Log.Info("one-off of an earlier daemon ended",
					"stack", stack, "service", rep.Service, "oneoff", rep.OneOff)
				err = errors.Join(err, r.end(ctx, rep))
			}
		}
		if err == nil {
			return
		}
		pause.For(ctx, wait)
	}
}
