package docker

import (
	"context"

	"github.com/moby/moby/api/types/container"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/observed"
)

// processes are the first processes of containers.
type processes struct{ *conn.Conn }

// Process inspects the container once.
func (ps *processes) Process(ctx context.Context, id string) (rhumb.ReplicaProcess, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	c, err := ps.Container(ctx, id)
	if err != nil {
		return rhumb.ReplicaProcess{}, err
	}
	if r := observed.Replica(c); !r.Alive() || c.State.Pid <= 1 {
		return rhumb.ReplicaProcess{}, rhumb.Errorf(rhumb.Conflict, "replica %s: it doesn't run", observed.Name(c))
	}
	return rhumb.ReplicaProcess{PID: c.State.Pid, Network: ownNetwork(c.HostConfig.NetworkMode)}, nil
}

func ownNetwork(mode container.NetworkMode) bool { return !mode.IsHost() && !mode.IsContainer() }
