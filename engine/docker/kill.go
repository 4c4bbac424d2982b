package docker

import (
	"context"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb/engine/docker/internal/observed"
	"rhumb/engine/docker/internal/process"
)

// killExec kills a command that runs in a container, and its children. The API has no call for that, but reports the
// process ID on this machine. The signal goes out only after a check that the process is in the container.
func (e *Engine) killExec(ctx context.Context, id, run string) {
	state, err := e.api.ExecInspect(ctx, run, client.ExecInspectOptions{})
	if err != nil {
		e.log.Warn("command may still run in container", "container", observed.Short(id), "err", err)
		return
	}
	if !state.Running || state.PID <= 1 {
		return
	}
	if process.Kill(state.PID, state.ContainerID) == 0 {
		e.log.Warn("command still runs in container: its process can't be reached from here", "container",
			observed.Short(id), "pid", state.PID)
	}
}

// onceVariable marks the processes of a command that must not run twice at a time, so that a restarted daemon finds
// them.
const onceVariable = "RHUMB_HOOK"

// killEarlier kills a command that an earlier daemon started in a container under the same word and that still runs.
func (e *Engine) killEarlier(ctx context.Context, c *container.InspectResponse, word string) {
	for _, run := range c.ExecIDs {
		state, err := e.api.ExecInspect(ctx, run, client.ExecInspectOptions{})
		if err != nil || !state.Running || state.PID <= 1 {
			continue
		}
		if process.Marked(state.PID, onceVariable+"="+word) {
			e.killExec(ctx, c.ID, run)
		}
	}
}
