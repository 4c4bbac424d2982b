package enginefake

import (
	"context"
	"strings"

	"rhumb"
)

// processes are the first processes of replicas.
type processes struct{ *state }

// Process returns a process ID that no other replica of the engine has. No such process may exist.
func (ps *processes) Process(ctx context.Context, id string) (rhumb.ReplicaProcess, error) {
	if err := ps.enter(ctx, "Process"); err != nil {
		return rhumb.ReplicaProcess{}, err
	}
	defer ps.mu.Unlock()
	r := ps.byID(id)
	if r == nil {
		return rhumb.ReplicaProcess{}, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id)
	}
	if view := r.at(ps.now()); !view.Alive() {
		return rhumb.ReplicaProcess{}, rhumb.Errorf(rhumb.Conflict, "replica %s: it doesn't run", r.name)
	}
	mode := r.spec.Container.NetworkMode
	return rhumb.ReplicaProcess{PID: r.pid, Network: mode != "host" && !strings.Contains(mode, ":")}, nil
}
