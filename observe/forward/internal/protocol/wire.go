package protocol

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	sendTimeout = 30 * time.Second // for a batch to be taken and answered
	// confirmTimeout is for the receiver to close a connection after it has read all of it. Receivers do at once.
	confirmTimeout = 5 * time.Second
	// muteTimeout is for one that didn't close the connection before.
	muteTimeout = 100 * time.Millisecond
)

// wire connects to a receiver without HTTP.
type wire struct {
	config Config
	tls    *tls.Config // nil: no TLS
}

// dial connects over TCP, with TLS if it is configured.
func (w *wire) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if w.tls == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", w.config.Address)
	}
	return (&tls.Dialer{Config: w.tls}).DialContext(ctx, "tcp", w.config.Address)
}

// bound ends reads and writes of a connection after a time, and when ctx ends. The caller calls stop afterwards.
func bound(ctx context.Context, conn net.Conn, d time.Duration) (stop func() bool) {
	conn.SetDeadline(time.Now().Add(d))
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// stream sends over a TCP connection without answers: syslog and GELF. Bytes that the kernel took are lost if the
// receiver dies before it reads them, so there is a connection for each batch: the sender closes its half, and a
// receiver that has read everything then closes the connection cleanly. One that dies resets it.
type stream struct {
	wire
	frame func(dst []byte, l Line) []byte // appends the line as the protocol frames it
	mute  bool                            // the receiver did not close its half in time: perhaps it never confirms
}

// Send implements Sender.
func (s *stream) Send(ctx context.Context, lines []Line) Result {
	if err := s.send(ctx, lines); err != nil {
		return Result{Left: lines, Err: err}
	}
	return Result{}
}

// Close implements Sender.
func (s *stream) Close() {}

func (s *stream) send(ctx context.Context, lines []Line) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer bound(ctx, conn, sendTimeout)()
	var b []byte
	for _, l := range lines {
		b = s.frame(b, l)
	}
	if _, err := conn.Write(b); err != nil {
		return err
	}
	return s.confirm(ctx, conn)
}

// confirm closes our half of a connection and waits until the receiver has read everything.
func (s *stream) confirm(ctx context.Context, conn net.Conn) error {
	if err := closeWrite(conn); err != nil {
		return err
	}
	d := confirmTimeout
	if s.mute {
		d = muteTimeout
	}
	defer bound(ctx, conn, d)()
	_, err := io.Copy(io.Discard, io.LimitReader(conn, 1<<16))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
		s.mute = true // it has not failed either
		return nil
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF): // the receiver's TLS ended without a goodbye, as many do
		s.mute = false
		return nil
	}
	return err
}

// closeWrite closes our half of a connection.
func closeWrite(conn net.Conn) error {
	t, ok := conn.(*tls.Conn)
	if !ok {
		return conn.(*net.TCPConn).CloseWrite()
	}
	if err := t.CloseWrite(); err != nil {
		return err
	}
	return t.NetConn().(*net.TCPConn).CloseWrite()
}

// datagrams sends over UDP. The receiver answers nothing: a line counts as sent when the kernel has taken it.
type datagrams struct {
	wire
	packets func(l Line) ([][]byte, error) // the packets of a line; an error: it doesn't fit
	conn    net.Conn
}

// Send implements Sender.
func (d *datagrams) Send(ctx context.Context, lines []Line) Result {
	if d.conn == nil {
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "udp", d.config.Address)
		if err != nil {
			return Result{Left: lines, Err: err}
		}
		d.conn = conn
	}
	var r Result
	for i, l := range lines {
		packets, err := d.packets(l)
		if err != nil {
			r.Refused++
			r.Err = err
			continue
		}
		for _, p := range packets {
			if _, err := d.conn.Write(p); err != nil {
				d.Close()                    // the host's name may have another address by now
				r.Left = lines[max(0, i-1):] // an error that ICMP reports is that of the packet before
				r.Err = err
				return r
			}
		}
	}
	return r
}

// Close implements Sender.
func (d *datagrams) Close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

var errTooLong = errors.New("a line is too long for UDP")
