package docker

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/observed"
	"rhumb/internal/pause"
)

// Exec runs a command in a replica and returns its exit code. If ctx ends first, Exec kills the command.
func (e *Engine) Exec(ctx context.Context, id string, o rhumb.ExecOptions) (int, error) {
	look, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := e.inspect(look, id)
	if err != nil {
		return 0, err
	}
	if o.Once != "" {
		e.killEarlier(look, c, o.Once)
		o.Env = append(slices.Clone(o.Env), onceVariable+"="+o.Once)
	}
	s := o.Streams
	run, err := e.api.ExecCreate(look, c.ID, client.ExecCreateOptions{
		User: o.User, Privileged: o.Privileged, TTY: o.TTY, Env: o.Env, WorkingDir: o.WorkingDir, Cmd: o.Command,
		AttachStdin: s.In != nil, AttachStdout: s.Out != nil, AttachStderr: s.Err != nil && !o.TTY,
	})
	if err != nil {
		return 0, e.execFailure(err, observed.Name(c))
	}
	conn, err := e.api.ExecAttach(look, run.ID, client.ExecAttachOptions{TTY: o.TTY})
	if err != nil {
		return 0, e.execFailure(err, observed.Name(c))
	}
	resize := func(ctx context.Context, size rhumb.Size) error {
		_, err := e.api.ExecResize(ctx, run.ID, client.ExecResizeOptions{Height: uint(size.Rows), Width: uint(size.Cols)})
		return err
	}
	err = e.joinStreams(ctx, conn.HijackedResponse, s, o.TTY, resize)
	after, cancelAfter := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancelAfter()
	if err != nil {
		e.killExec(after, c.ID, run.ID)
		return 0, e.fail(err, "run a command in "+observed.Name(c))
	}
	return e.exitCode(after, c.ID, run.ID)
}

// execFailure explains why a command didn't start.
func (e *Engine) execFailure(err error, name string) error {
	failed := e.fail(err, "run a command in "+name)
	if is(failed, rhumb.Conflict) {
		return rhumb.Errorf(rhumb.Conflict, "run a command in %s: it does not run", name)
	}
	return failed
}

// exitCode returns the exit code of a command whose streams have ended.
func (e *Engine) exitCode(ctx context.Context, container, run string) (int, error) {
	state, err := e.ended(ctx, run)
	if err != nil {
		return 0, e.fail(err, "look at a command in "+observed.Short(container))
	}
	return state.ExitCode, nil
}

// ended waits until the engine reports that a command has ended. Its streams end a moment earlier.
func (e *Engine) ended(ctx context.Context, run string) (client.ExecInspectResult, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		state, err := e.api.ExecInspect(ctx, run, client.ExecInspectOptions{})
		if err != nil || !state.Running {
			return state, err
		}
		if !pause.For(ctx, wait) {
			return state, ctx.Err()
		}
	}
}

// resizer sets the size of a terminal.
type resizer func(context.Context, rhumb.Size) error

// joinStreams joins streams to a hijacked connection until the output or ctx ends, and closes the connection. A
// goroutine that blocks in a read of s.In outlives the call: nothing can interrupt that read.
func (e *Engine) joinStreams(ctx context.Context, conn client.HijackedResponse, s rhumb.Streams, tty bool,
	resize resizer) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, conn.Close)
	defer stop()
	sizing, cancel := context.WithCancel(ctx)
	sized := make(chan struct{})
	go func() {
		defer close(sized)
		if tty {
			e.followSizes(sizing, s.Resize, resize)
		}
	}()
	defer func() { cancel(); <-sized }()
	if s.In != nil {
		go func() {
			_, err := io.Copy(conn.Conn, s.In)
			if err != nil && !errors.Is(err, io.ErrClosedPipe) {
				e.log.Debug("input ended", "err", err)
			}
			_ = conn.CloseWrite() // the other end may be gone
		}()
	}
	err := copyOutput(conn.Reader, s, tty)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// copyOutput copies a command's output until it ends.
func copyOutput(from io.Reader, s rhumb.Streams, tty bool) error {
	out, errs := s.Out, s.Err
	if out == nil {
		out = io.Discard
	}
	if errs == nil {
		errs = io.Discard
	}
	if tty {
		_, err := io.Copy(out, from)
		if err != nil && strings.Contains(err.Error(), "input/output error") {
			return nil // a terminal says so when its other side is closed
		}
		return err
	}
	_, err := stdcopy.StdCopy(out, errs, from)
	return err
}

// followSizes sends a terminal's sizes to the engine, which refuses them for a moment after the start.
func (e *Engine) followSizes(ctx context.Context, sizes <-chan rhumb.Size, resize resizer) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			err := resize(ctx, size)
			for try := 0; err != nil && try < 10 && pause.For(ctx, lastWait); try++ {
				err = resize(ctx, size)
			}
			if err != nil && ctx.Err() == nil {
				e.log.Debug("terminal not resized", "err", err)
			}
		}
	}
}
