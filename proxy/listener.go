package proxy

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/socket"
)

// listener is a socket that is served.
type listener struct {
	*socket.Socket
	udp *udpListener // nil: TCP
}

// close stops accepting. The connections that are open live on; UDP sessions of the socket end.
func (l *listener) close() {
	if l.udp != nil {
		l.udp.end()
	}
	l.Close()
}

// quit stops accepting, for good; a UDP socket is kept so that answers can still be sent.
func (l *listener) quit() {
	if l.udp != nil {
		l.udp.quit()
		return
	}
	l.close()
}

// acceptLoop takes connections from one socket until it is closed, and waits for those it has begun.
type acceptLoop struct {
	socket *socket.Socket
	total  slots
	own    slots
	serve  func(*inbound.Conn) (rest func())  // rest, if any, is the connection's own goroutine
	full   func(at func(socket.Binding) bool) // called while there is no place for more connections there
	ended  func()                             // called when no more are accepted
	log    *slog.Logger
}

func (a *acceptLoop) run() {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer a.ended()
	var backoff time.Duration
	for {
		if !a.place(a.own, a.here, a.socket.Closed()) {
			return
		}
		c, err := a.socket.TCP.AcceptTCP()
		if err != nil {
			a.own.release()
			if backoff = a.pause(err, backoff); backoff == 0 {
				return
			}
			continue
		}
		backoff = 0
		a.place(a.total, anywhere, nil) // not given up when the socket closes: this connection was accepted and is owed an answer
		cc := inbound.New(c, a.socket.Bound, func() {
			a.own.release()
			a.total.release()
		})
		if rest := a.serve(cc); rest != nil {
			conns.Go(rest)
		}
	}
}

// here and anywhere tell whether a connection that came in at an address takes up such a place.
func (a *acceptLoop) here(b socket.Binding) bool { return b == a.socket.Bound }
func anywhere(socket.Binding) bool               { return true }

// place waits for a place among some; false if given up meanwhile.
func (a *acceptLoop) place(among slots, at func(socket.Binding) bool, givenUp <-chan struct{}) bool {
	for {
		if among.take() {
			return true
		}
		a.full(at)
		select {
		case among <- struct{}{}:
			return true
		case <-time.After(time.Second):
		case <-givenUp:
			return false
		}
	}
}

// pause waits after a failed accept, longer each time, and gives 0 when there is no more to accept.
func (a *acceptLoop) pause(err error, last time.Duration) time.Duration {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0
	}
	if last == 0 {
		a.log.Warn("accepting failed", "address", a.socket.Bound.String(), "error", err)
	}
	d := min(max(2*last, 5*time.Millisecond), time.Second)
	select {
	case <-time.After(d):
		return d
	case <-a.socket.Closed():
		return 0
	}
}
