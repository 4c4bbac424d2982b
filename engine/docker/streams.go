package docker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/internal/pause"
)

// resizer sets the size of a terminal.
type resizer func(context.Context, rhumb.Size) error

// joinStreams joins streams to a hijacked connection until the output or ctx ends, and closes the connection. A
// goroutine that blocks in a read of s.In outlives the call: nothing can interrupt that read.
func joinStreams(ctx context.Context, log *slog.Logger, attached client.HijackedResponse, s rhumb.Streams, tty bool,
	resize resizer) error {
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	sizing, cancel := context.WithCancel(ctx)
	sized := make(chan struct{})
	go func() {
		defer close(sized)
		if tty {
			followSizes(sizing, log, s.Resize, resize)
		}
	}()
	defer func() { cancel(); <-sized }()
	if s.In != nil {
		go func() {
			_, err := io.Copy(attached.Conn, s.In)
			if err != nil && !errors.Is(err, io.ErrClosedPipe) {
				log.Debug("input ended", "err", err)
			}
			_ = attached.CloseWrite() // the other end may be gone
		}()
	}
	err := copyOutput(attached.Reader, s, tty)
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
func followSizes(ctx context.Context, log *slog.Logger, sizes <-chan rhumb.Size, resize resizer) {
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
				log.Debug("terminal not resized", "err", err)
			}
		}
	}
}
