package backend

import (
	"context"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Link is a connection to an endpoint that carries one request at a time.
type Link struct {
	*Conn
	Kept bool // it has carried a request before, so that the replica may close it at any moment

	links *links
	epoch uint64 // of links, when it was made
	since time.Time
	raw   syscall.RawConn
	poll  [1]unix.PollFd
	look  func(fd uintptr) // a method value takes memory each time
	fresh bool             // as seen by look: nothing has come, and the replica hasn't ended it
}

// maxIdleLinks is how many idle links to one endpoint are kept.
const maxIdleLinks = 256

// links are the idle links to an endpoint. The newest is used first, so that those that aren't needed grow old.
type links struct {
	mu    sync.Mutex
	idle  []*Link
	epoch uint64 // links of earlier epochs are closed when they become idle
	timer *time.Timer
}

// Link connects to an endpoint. With kept, it may return an idle link. It returns a DialError or ErrBusy.
func (b *Balancer) Link(ctx context.Context, e *Endpoint, kept bool) (*Link, error) {
	if kept {
		if l := e.links.take(); l != nil {
			return l, nil
		}
	}
	epoch := e.links.now()
	c, err := b.Dial(ctx, e)
	if err != nil {
		return nil, err
	}
	l := &Link{Conn: c, links: &e.links, epoch: epoch}
	l.look = l.isFresh
	if l.raw, err = c.SyscallConn(); err != nil {
		_ = c.Close()
		return nil, &DialError{err}
	}
	return l, nil
}

// Keep makes the link idle, for the next request to use. All of the last answer has been read. It is closed if its
// endpoint drains, or after idleTime.
func (l *Link) Keep() {
	l.Kept, l.since = true, time.Now()
	if !l.links.put(l) {
		_ = l.Close()
	}
}

// usable reports whether an idle link can carry a request. A replica that has sent something without being asked would
// be taken to answer the next request with it.
func (l *Link) usable(now time.Time) bool {
	return now.Sub(l.since) < idleTime && l.raw.Control(l.look) == nil && l.fresh
}

// isFresh looks at the socket.
func (l *Link) isFresh(fd uintptr) {
	l.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
	n, err := unix.Poll(l.poll[:], 0)
	l.fresh = n == 0 && err == nil
}

func (ls *links) now() uint64 {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.epoch
}

// take returns a usable link; nil: there is none.
func (ls *links) take() *Link {
	now := time.Now()
	for {
		ls.mu.Lock()
		n := len(ls.idle)
		if n == 0 {
			ls.mu.Unlock()
			return nil
		}
		l := ls.idle[n-1]
		ls.idle[n-1] = nil
		ls.idle = ls.idle[:n-1]
		ls.mu.Unlock()
		if l.usable(now) {
			return l
		}
		_ = l.Close()
	}
}

// put adds an idle link, and reports whether it may stay.
func (ls *links) put(l *Link) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.epoch != ls.epoch || len(ls.idle) == maxIdleLinks {
		return false
	}
	ls.idle = append(ls.idle, l)
	if len(ls.idle) == 1 {
		if ls.timer == nil {
			ls.timer = time.AfterFunc(idleTime, ls.expire)
		} else {
			ls.timer.Reset(idleTime)
		}
	}
	return true
}

// expire closes the links that have been idle for idleTime, and looks again when the next one will have.
func (ls *links) expire() {
	now := time.Now()
	ls.mu.Lock()
	old := 0
	for old < len(ls.idle) && now.Sub(ls.idle[old].since) >= idleTime {
		old++
	}
	expired := append([]*Link(nil), ls.idle[:old]...)
	ls.idle = append(ls.idle[:0], ls.idle[old:]...)
	if len(ls.idle) > 0 {
		ls.timer.Reset(idleTime - now.Sub(ls.idle[0].since))
	}
	ls.mu.Unlock()
	for _, l := range expired {
		_ = l.Close()
	}
}

// close closes the idle links, and those in use once they become idle.
func (ls *links) close() {
	ls.mu.Lock()
	idle := ls.idle
	ls.idle = nil
	ls.epoch++
	ls.mu.Unlock()
	for _, l := range idle {
		_ = l.Close()
	}
}
