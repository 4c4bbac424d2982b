package wire

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/proxy/internal/socket"
)

// Successor is the process that asks to take over.
type Successor struct{ conn *net.UnixConn }

// SuccessorOf returns the peer behind a "POST /takeover" request. Its connection is the caller's to close.
func SuccessorOf(w http.ResponseWriter) (*Successor, error) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	return &Successor{c.(*net.UnixConn)}, nil
}

// Close breaks off, or ends Follow.
func (s *Successor) Close() { s.conn.Close() }

// Decline answers that there is nothing to take over, and returns an error that says so.
func (s *Successor) Decline() error {
	s.conn.SetDeadline(time.Now().Add(takeoverTime))
	io.WriteString(s.conn, "HTTP/1.1 409 Conflict\r\nContent-Length: 14\r\nConnection: close\r\n\r\nit is stopping")
	return errors.New("this proxy is stopping")
}

// Give hands over the sockets and the connections to older proxies, and returns once the successor serves. After a nil
// error all of it is the successor's, which waits for Agree. The caller takes no table meanwhile.
func (s *Successor) Give(t rhumb.Table, sockets []*socket.Socket, before *Predecessors) error {
	s.conn.SetDeadline(time.Now().Add(takeoverTime))
	if _, err := io.WriteString(s.conn,
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: takeover\r\n\r\n"); err != nil {
		return err
	}
	if err := expect(s.conn, byteGo); err != nil {
		return err
	}
	if err := s.sendAll(t, sockets, before); err != nil {
		return err
	}
	return expect(s.conn, byteServing)
}

// Agree lets the successor serve alone.
func (s *Successor) Agree() error {
	_, err := s.conn.Write([]byte{byteAgreed})
	return err
}

// PID returns the successor's process ID; 0 if the kernel doesn't know it.
func (s *Successor) PID() (pid int) {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// sendAll sends the offer and all file descriptors. No question may be on its way to an older proxy meanwhile: its
// answer would reach the successor.
func (s *Successor) sendAll(t rhumb.Table, sockets []*socket.Socket, before *Predecessors) error {
	o := offer{PID: os.Getpid(), Table: t}
	var files []syscall.Conn
	for _, l := range sockets {
		o.Sockets = append(o.Sockets, offeredSocket{UDP: l.Bound.UDP, Addr: l.Bound.Addr})
		files = append(files, l.Descriptor())
	}
	held, release := before.hold()
	defer release()
	o.Before = len(held)
	for _, p := range held {
		files = append(files, p.conn)
	}
	if err := writeFrame(s.conn, o); err != nil {
		return err
	}
	for _, f := range files {
		if err := sendFile(s.conn, f); err != nil {
			return err
		}
	}
	return nil
}

// Follow answers the successor's questions until its connection is closed. serve serves the successor's table, if there
// is one, to the connections that are still here, and returns how many they are and how many of them are busy.
func (s *Successor) Follow(serve func(t *rhumb.Table) (open, busy map[string]int)) {
	s.conn.SetDeadline(time.Time{}) // the connection ends when the successor or this proxy does
	for {
		var q question
		if err := readFrame(s.conn, &q); err != nil {
			return
		}
		open, busy := serve(q.Table)
		if err := writeFrame(s.conn, answer{Open: open, Busy: busy}); err != nil {
			return
		}
	}
}
