package hooks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/card"
)

// Execer runs commands in replicas.
type Execer interface {
	Exec(ctx context.Context, id string, o rhumb.ExecOptions) (int, error)
}

// Of returns the record of a replica's hook that is about to run. number counts from 1.
func Of(rep rhumb.Replica, kind rhumb.HookKind, number int) rhumb.HookRun {
	return rhumb.HookRun{Kind: kind, Number: number, Service: rep.Service, Release: rep.Release, Slot: rep.Slot}
}

// Inside runs a hook in a replica and returns the record of how it went. The engine kills what an earlier daemon
// began of the hook first. The error is the engine's, if it could not run the hook at all.
func Inside(ctx context.Context, engine Execer, id string, run rhumb.HookRun, h rhumb.Hook) (rhumb.HookRun, error) {
	limited, cancel := context.WithTimeoutCause(ctx, h.Timeout, card.ErrTooLong)
	defer cancel()
	var out card.Tail
	began := time.Now()
	code, err := engine.Exec(limited, id, rhumb.ExecOptions{
		Command: h.Command, Env: assignments(h.Env), User: h.User, WorkingDir: h.WorkingDir, Privileged: h.Privileged,
		Once: fmt.Sprintf("%s.%d", run.Kind, run.Number), Streams: rhumb.Streams{Out: &out, Err: &out},
	})
	card.Finish(&run, &out, began, card.Failed(limited, h.Timeout, code, err))
	return run, err
}

// assignments returns an environment as "NAME=value", sorted.
func assignments(env map[string]string) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}
