package client

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/httpapi/wire"
)

// pipes is a listener in memory, so that a test can hold the clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// slow says nothing for a long time, and then something.
type slow struct {
	rhumb.Server
	pause time.Duration
}

func (s slow) Events(ctx context.Context, _ rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		select {
		case <-time.After(s.pause):
			yield(rhumb.Event{ID: 1}, nil)
		case <-ctx.Done():
			yield(rhumb.Event{}, ctx.Err())
		}
	}
}

func (s slow) Exec(ctx context.Context, _, _ string, _ int, o rhumb.ExecOptions) (int, error) {
	select {
	case <-time.After(s.pause):
		_, err := io.WriteString(o.Streams.Out, "at last")
		return 7, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestAQuietServerCountsAsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		log := slog.New(slog.DiscardHandler)
		go func() { done <- httpapi.Serve(ctx, p, httpapi.New(httpapi.All(slow{pause: 3 * time.Hour}), log), log) }()
		c := newClient("pipe", "http://rhumb", p.dial)
		n := 0
		for e, err := range c.Events(ctx, rhumb.EventFilter{Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			n += int(e.ID)
		}
		if n != 1 {
			t.Errorf("%d events came", n)
		}
		var out bytes.Buffer
		in, _ := io.Pipe() // a terminal without input
		code, err := c.Exec(ctx, "shop", "web", 1, rhumb.ExecOptions{Command: []string{"x"}, Streams: rhumb.Streams{In: in, Out: &out}})
		if code != 7 || err != nil || out.String() != "at last" {
			t.Errorf("got %d, %v, %q", code, err, out.String())
		}
		in.CloseWithError(io.EOF)
		c.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAServerThatFallsSilentIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		defer p.Close()
		answer := map[string]string{
			"/v1/events":                        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n",
			"/v1/stacks/shop/services/web/exec": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + wire.Protocol + "\r\n\r\n",
		}
		go func() {
			for {
				conn, err := p.Accept()
				if err != nil {
					return
				}
				go func() { // says how it begins, and nothing more
					defer conn.Close()
					r := bufio.NewReader(conn)
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					_, _ = io.WriteString(conn, answer[req.URL.Path])
					_, _ = io.Copy(io.Discard, r)
				}()
			}
		}()
		c := newClient("pipe", "http://rhumb", p.dial)
		began := time.Now()
		for _, err := range c.Events(t.Context(), rhumb.EventFilter{Follow: true}) {
			if rhumb.ErrorCode(err) != rhumb.Unavailable {
				t.Errorf("events: got %v", err)
			}
		}
		if took := time.Since(began); took != wire.Silence {
			t.Errorf("events: it took %s", took)
		}
		began = time.Now()
		if _, err := c.Exec(t.Context(), "shop", "web", 1, rhumb.ExecOptions{Command: []string{"x"}, Streams: rhumb.Streams{Out: io.Discard}}); rhumb.ErrorCode(err) != rhumb.Unavailable {
			t.Errorf("exec: got %v", err)
		}
		if took := time.Since(began); took != wire.Silence {
			t.Errorf("exec: it took %s", took)
		}
		c.Close()
	})
}
