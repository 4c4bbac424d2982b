package docker

import (
	"context"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/observed"
	"rhumb/engine/docker/internal/process"
	"rhumb/internal/pause"
)

// commands run in replicas.
type commands struct {
	*conn.Conn
	hookLine func(rhumb.LogLine) // nil: none are wanted
}

// Exec runs a command in a replica and returns its exit code. If ctx ends first, Exec kills the command.
func (cs *commands) Exec(ctx context.Context, id string, o rhumb.ExecOptions) (int, error) {
	look, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	c, err := cs.Container(look, id)
	if err != nil {
		return 0, err
	}
	if o.Once != "" {
		cs.killEarlier(look, c, o.Once)
		o.Env = append(slices.Clone(o.Env), onceVariable+"="+o.Once)
	}
	s := o.Streams
	if o.Once != "" && cs.hookLine != nil {
		r := observed.Replica(c)
		out, failed := newHookLines(r, false, s.Out, cs.hookLine), newHookLines(r, true, s.Err, cs.hookLine)
		s.Out, s.Err = out, failed
		defer out.end()
		defer failed.end()
	}
	run, err := cs.API.ExecCreate(look, c.ID, client.ExecCreateOptions{
		User: o.User, Privileged: o.Privileged, TTY: o.TTY, Env: o.Env, WorkingDir: o.WorkingDir, Cmd: o.Command,
		AttachStdin: s.In != nil, AttachStdout: s.Out != nil, AttachStderr: s.Err != nil && !o.TTY,
	})
	if err != nil {
		return 0, cs.failure(err, observed.Name(c))
	}
	attached, err := cs.API.ExecAttach(look, run.ID, client.ExecAttachOptions{TTY: o.TTY})
	if err != nil {
		return 0, cs.failure(err, observed.Name(c))
	}
	resize := func(ctx context.Context, size rhumb.Size) error {
		_, err := cs.API.ExecResize(ctx, run.ID, client.ExecResizeOptions{Height: uint(size.Rows), Width: uint(size.Cols)})
		return err
	}
	err = joinStreams(ctx, cs.Log, attached.HijackedResponse, s, o.TTY, resize)
	after, cancelAfter := context.WithTimeout(context.WithoutCancel(ctx), conn.CallTimeout)
	defer cancelAfter()
	if err != nil {
		cs.kill(after, c.ID, run.ID)
		return 0, cs.Fail(err, "run a command in "+observed.Name(c))
	}
	return cs.exitCode(after, c.ID, run.ID)
}

// failure explains why a command didn't start.
func (cs *commands) failure(err error, name string) error {
	failed := cs.Fail(err, "run a command in "+name)
	if conn.Is(failed, rhumb.Conflict) {
		return rhumb.Errorf(rhumb.Conflict, "run a command in %s: it does not run", name)
	}
	return failed
}

// exitCode returns the exit code of a command whose streams have ended.
func (cs *commands) exitCode(ctx context.Context, container, run string) (int, error) {
	state, err := cs.ended(ctx, run)
	if err != nil {
		return 0, cs.Fail(err, "look at a command in "+observed.Short(container))
	}
	return state.ExitCode, nil
}

// ended waits until the engine reports that a command has ended. Its streams end a moment earlier.
func (cs *commands) ended(ctx context.Context, run string) (client.ExecInspectResult, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		state, err := cs.API.ExecInspect(ctx, run, client.ExecInspectOptions{})
		if err != nil || !state.Running {
			return state, err
		}
		if !pause.For(ctx, wait) {
			return state, ctx.Err()
		}
	}
}

// kill kills a command that runs in a container, and its children. The API has no call for that, but reports the
// process ID on this machine. The signal goes out only after a check that the process is in the container.
func (cs *commands) kill(ctx context.Context, id, run string) {
	state, err := cs.API.ExecInspect(ctx, run, client.ExecInspectOptions{})
	if err != nil {
		cs.Log.Warn("command may still run in container", "container", observed.Short(id), "err", err)
		return
	}
	if !state.Running || state.PID <= 1 {
		return
	}
	if process.Kill(state.PID, state.ContainerID) == 0 {
		cs.Log.Warn("command still runs in container: its process can't be reached from here", "container",
			observed.Short(id), "pid", state.PID)
	}
}

// onceVariable marks the processes of a command that must not run twice at a time, so that a restarted daemon finds
// them.
const onceVariable = "RHUMB_HOOK"

// killEarlier kills a command that an earlier daemon started in a container under the same word and that still runs.
func (cs *commands) killEarlier(ctx context.Context, c *container.InspectResponse, word string) {
	for _, run := range c.ExecIDs {
		state, err := cs.API.ExecInspect(ctx, run, client.ExecInspectOptions{})
		if err != nil || !state.Running || state.PID <= 1 {
			continue
		}
		if process.Marked(state.PID, onceVariable+"="+word) {
			cs.kill(ctx, c.ID, run)
		}
	}
}
