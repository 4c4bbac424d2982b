package docker

import (
	"context"
	"crypto/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/drawing"
	"rhumb/engine/docker/internal/observed"
)

// oneOffs are replicas that run one command.
type oneOffs struct {
	*conn.Conn
	starter *starter
}

// Run starts a one-off, waits for its end, and removes it with its nameless volumes. If ctx ends first, Run stops it.
func (of *oneOffs) Run(ctx context.Context, spec rhumb.ReplicaSpec, s rhumb.Streams) (int, error) {
	if spec.OneOff == "" {
		spec.OneOff = strings.ToLower(rand.Text()[:8])
	}
	p, id, err := of.create(ctx, &spec, s)
	if err != nil {
		return 0, err
	}
	defer of.sweep(ctx, id, spec.Name())
	tty := spec.Container.TTY
	attached, err := of.API.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: s.In != nil,
		Stdout: true, Stderr: true})
	if err != nil {
		return 0, of.Fail(err, "attach to "+spec.Name())
	}
	waiting, cancel := context.WithCancel(ctx)
	var passing sync.WaitGroup
	defer func() { cancel(); passing.Wait() }()
	end := of.API.ContainerWait(waiting, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if err := of.start(ctx, id, spec.Name(), p); err != nil {
		attached.Close()
		return 0, err
	}
	passing.Go(func() { of.passSignals(waiting, id, s.Signals) })
	if s.Begun != nil {
		s.Begun()
	}
	resize := func(ctx context.Context, size rhumb.Size) error {
		_, err := of.API.ContainerResize(ctx, id, client.ContainerResizeOptions{Height: uint(size.Rows),
			Width: uint(size.Cols)})
		return err
	}
	if err := joinStreams(ctx, of.Log, attached.HijackedResponse, s, tty, resize); err != nil {
		return 0, of.Fail(err, "run "+spec.Name())
	}
	select {
	case res := <-end.Result:
		return int(res.StatusCode), nil
	case err := <-end.Error:
		return 0, of.Fail(err, "wait for "+spec.Name())
	}
}

// create creates the container of a one-off, with its streams open. The engine finishes the creation even if the caller
// has gone. So create waits for it regardless of ctx: without the ID nothing could remove the container.
func (of *oneOffs) create(ctx context.Context, spec *rhumb.ReplicaSpec,
	s rhumb.Streams) (*drawing.Plan, string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	p, made, err := of.starter.creator.create(ctx, spec, func(p *drawing.Plan) {
		c := p.Create.Config
		c.AttachStdout, c.AttachStderr = true, true
		c.AttachStdin, c.OpenStdin, c.StdinOnce = s.In != nil, s.In != nil, s.In != nil
	})
	for _, w := range made.Warnings {
		of.Log.Warn("engine warns", "replica", spec.Name(), "warning", w)
	}
	return p, made.ID, err
}

// start starts a one-off. It returns an error if the one-off can't run.
func (of *oneOffs) start(ctx context.Context, id, name string, p *drawing.Plan) error {
	r, err := of.starter.join(ctx, id, name, p.Further)
	if err == nil && r.Error != "" {
		err = rhumb.Errorf(rhumb.Invalid, "run %s: %s", name, r.Error)
	}
	return err
}

// passSignals sends signals on to a container's first process until ctx ends.
func (of *oneOffs) passSignals(ctx context.Context, id string, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			n, ok := s.(syscall.Signal)
			if !ok {
				return // a closed channel yields nil: there are no more
			}
			call, cancel := context.WithTimeout(ctx, conn.CallTimeout)
			_, err := of.API.ContainerKill(call, id, client.ContainerKillOptions{Signal: strconv.Itoa(int(n))})
			cancel()
			if err != nil && ctx.Err() == nil {
				// it may have ended meanwhile
				of.Log.Debug("signal not sent", "container", observed.Short(id), "signal", n, "err", err)
			}
		}
	}
}

// drain waits until the lines of a one-off are kept. One that can't be looked at is removed without them.
func (of *oneOffs) drain(ctx context.Context, id string) {
	look, done := context.WithTimeout(ctx, conn.CallTimeout)
	defer done()
	if c, err := of.starter.replicas.Container(look, id); err == nil {
		of.starter.replicas.drain(ctx, writerOf(c))
	}
}

// sweep removes a one-off in whatever state it is. If the caller has gone, the one-off gets its stop signal and its
// grace first.
func (of *oneOffs) sweep(ctx context.Context, id, name string) {
	if ctx.Err() != nil {
		if err := of.starter.replicas.Stop(context.WithoutCancel(ctx), id); err != nil {
			of.Log.Warn("one-off not stopped", "replica", name, "err", err)
		}
	}
	of.drain(context.WithoutCancel(ctx), id)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.CleanTimeout)
	defer cancel()
	if _, err := of.API.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true,
		RemoveVolumes: true}); err != nil {
		if failed := of.Fail(err, "remove "+name); !conn.Is(failed, rhumb.NotFound) {
			of.Log.Warn("one-off not removed", "replica", name, "err", err)
		}
	}
}
