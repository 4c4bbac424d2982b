package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"rhumb"
	"rhumb/httpapi/wire"
)

// join upgrades a connection, and sends the command's streams over it until the command ends.
func (c *Client) join(ctx context.Context, path string, slot int, o rhumb.ExecOptions) (int, error) {
	s := o.Streams
	body, err := encode(wire.CommandRequest{Slot: slot, Options: o, In: s.In != nil, Out: s.Out != nil, Err: s.Err != nil})
	if err != nil {
		return 0, err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Connection": {"Upgrade"}, "Upgrade": {wire.Protocol}}
	upgraded, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := c.upgrade(upgraded, path, header, body)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	frames := wire.NewFrames(conn)
	var sides sync.WaitGroup
	sides.Go(func() { keepAlive(upgraded, frames, s) })
	if s.In != nil {
		// Nothing can interrupt a read from a terminal: this goroutine ends with its next read, and is not waited for.
		go sendInput(frames, s.In)
	}
	code, err := receive(conn, s, func() { conn.Close() })
	cancel()
	conn.Close()
	sides.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	var lost *wireError
	if errors.As(err, &lost) {
		return 0, c.broken(ctx, lost.error)
	}
	return code, err
}

func (c *Client) upgrade(
	ctx context.Context, path string, header http.Header, body []byte,
) (io.ReadWriteCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytesReader(body))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "the request can't be made: %w", err)
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if resp.StatusCode == http.StatusSwitchingProtocols && ok {
		return conn, nil
	}
	return nil, c.problem(resp)
}

// receive writes the command's output until the command ends. It calls silent if the server sends nothing for too long.
func receive(r io.Reader, s rhumb.Streams, silent func()) (int, error) {
	frames := wire.NewFrameReader(&timedReader{r: r, cancel: silent})
	for {
		f, err := frames.Next()
		if err != nil {
			return 0, &wireError{err}
		}
		switch f.Kind {
		case wire.FrameOut:
			err = write(s.Out, f.Payload)
		case wire.FrameErr:
			err = write(s.Err, f.Payload)
		case wire.FrameExit, wire.FrameProblem:
			return f.Exit()
		}
		if err != nil {
			return 0, fmt.Errorf("write the command's output: %w", err)
		}
	}
}

func write(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(p)
	return err
}

func sendInput(frames *wire.Frames, in io.Reader) {
	to := struct{ io.Writer }{frames.Stream(wire.FrameIn)}
	if _, err := io.CopyBuffer(to, struct{ io.Reader }{in}, make([]byte, 32<<10)); err != nil {
		return // the connection is gone, or the input broke; receive finds out
	}
	_ = frames.Send(wire.FrameInEnd, nil) // receive finds out if it fails
}

// keepAlive sends the terminal's sizes and signals, and shows that the client is alive, until ctx ends.
func keepAlive(ctx context.Context, frames *wire.Frames, s rhumb.Streams) {
	t := time.NewTicker(wire.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-s.Resize:
			if !ok {
				s.Resize = nil
				continue
			}
			_ = frames.Resize(size) // receive finds out when the connection is gone
		case sig, ok := <-s.Signals:
			if !ok {
				s.Signals = nil
				continue
			}
			_ = frames.Signal(sig)
		case <-t.C:
			_ = frames.Send(wire.FrameBeat, nil)
		}
	}
}

// wireError is a failure of the connection, not of the command.
type wireError struct{ error }
