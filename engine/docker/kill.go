package docker

import (
	"context"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb/engine/docker/internal/observed"
	"rhumb/engine/docker/internal/process"
)

// killExec kills a command that runs in a container, and its children. The API has no call for it, but tells the
// process's number on the machine; whether that process is in the container is looked at before anything is sent.
func (e *Engine) killExec(ctx context.Context, id, run string) {
	state, err := e.api.ExecInspect(ctx, run, client.ExecInspectOptions{})
	if err != nil {
		e.log.Warn("command may be left in container", "container", observed.Short(id), "error", err)
		return
	}
	if !state.Running || state.PID <= 1 {
		return
	}
	if process.Kill(state.PID, state.ContainerID) == 0 {
		e.log.Warn("command is left in container: its process can't be reached from here", "container", observed.Short(id), "pid", state.PID)
	}
}

// onceVariable marks the processes of a command that must not run twice at a time, so that a daemon that comes back finds them.
const onceVariable = "RHUMB_HOOK"

// killEarlier kills what was begun in a container under the same word and still runs: who began it has died.
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
