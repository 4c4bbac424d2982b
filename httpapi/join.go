package httpapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"rhumb"
	"rhumb/httpapi/wire"
)

// join upgrades the connection and runs the command with its streams.
func (a *api) join(w http.ResponseWriter, r *http.Request, in *commandInput,
	do func(context.Context, *commandInput, rhumb.ExecOptions) (int, error)) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), wire.Protocol) {
		refuse(w, rhumb.Errorf(rhumb.Invalid, "the request doesn't ask for an upgrade to %s", wire.Protocol))
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, a.failed(r.Context(), "join", err).Err())
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Time{}) // each read and write sets its own
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + wire.Protocol + "\r\n\r\n"
	if _, err := io.WriteString(conn, switching); err != nil {
		return
	}
	// A hijacked request's context doesn't end with its connection. The readers and writers cancel it instead.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &session{conn: conn, out: wire.NewFrames(&stallingWriter{conn}), cancel: cancel}
	s.in, s.inW = io.Pipe()
	s.resize, s.signals = make(chan rhumb.Size, 1), make(chan os.Signal, maxSignals)
	var sides sync.WaitGroup
	sides.Go(func() { s.receive(buf) })
	sides.Go(func() { s.beat(ctx) })
	code, err := do(ctx, in, s.options(in.Body))
	if err != nil {
		err = a.failed(ctx, "join", err).Err()
	}
	_ = s.out.Exit(code, err) // a client that has gone needs no answer
	cancel()
	_ = s.in.Close() // the command reads no more
	// The client reads the last frame and hangs up. That ends the receiving side; a client that doesn't is cut off.
	late := time.AfterFunc(5*time.Second, func() { conn.Close() })
	defer late.Stop()
	sides.Wait()
}

// session is one joined command.
type session struct {
	conn    net.Conn
	out     *wire.Frames
	in      *io.PipeReader
	inW     *io.PipeWriter
	resize  chan rhumb.Size
	signals chan os.Signal // those that wait for the command
	cancel  context.CancelFunc
}

// maxSignals is how many signals wait for a command at most.
const maxSignals = 8

func (s *session) options(req wire.CommandRequest) rhumb.ExecOptions {
	o := req.Options
	o.Streams.Resize, o.Streams.Signals = s.resize, s.signals
	if req.In {
		o.Streams.In = s.in
	} else {
		_ = s.in.Close()
	}
	if req.Out {
		o.Streams.Out = s.out.Stream(wire.FrameOut)
	}
	if req.Err {
		o.Streams.Err = s.out.Stream(wire.FrameErr)
	}
	return o
}

// receive passes on what the client sends until the connection ends, and then cancels the command.
func (s *session) receive(r io.Reader) {
	defer s.cancel()
	defer close(s.resize)
	defer s.inW.CloseWithError(io.ErrUnexpectedEOF)
	frames := wire.NewFrameReader(&silentReader{s.conn, r})
	for {
		f, err := frames.Next()
		if err != nil {
			return
		}
		switch f.Kind {
		case wire.FrameIn:
			_, _ = s.inW.Write(f.Payload) // the command may have stopped reading, and still run
		case wire.FrameInEnd:
			_ = s.inW.Close()
		case wire.FrameResize:
			if size, err := f.Size(); err == nil {
				s.resized(size)
			}
		case wire.FrameSignal:
			if sig, err := f.Signal(); err == nil {
				s.signalled(sig)
			}
		}
	}
}

// resized passes a size on in place of one that waits.
func (s *session) resized(size rhumb.Size) {
	for {
		select {
		case s.resize <- size:
			return
		default:
		}
		select {
		case <-s.resize:
		default:
		}
	}
}

// signalled passes a signal on, and drops it if too many wait.
func (s *session) signalled(sig os.Signal) {
	select {
	case s.signals <- sig:
	default:
	}
}

// beat shows the client that the server is alive, and the server that the client is.
func (s *session) beat(ctx context.Context) {
	t := time.NewTicker(wire.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := s.out.Send(wire.FrameBeat, nil); err != nil {
				s.cancel()
				return
			}
		}
	}
}

// stallingWriter sets a deadline for each write.
type stallingWriter struct{ conn net.Conn }

func (w *stallingWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(wire.Stall)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

// silentReader sets a deadline for each read: a living client sends beats.
type silentReader struct {
	conn net.Conn
	r    io.Reader
}

func (r *silentReader) Read(p []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(wire.Silence)); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
