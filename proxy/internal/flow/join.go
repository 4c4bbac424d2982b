package flow

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Cut is how an endpoint cut a connection while an answer may have been due.
type Cut int

// Many protocols have a last message that isn't answered, so an end alone doesn't prove that something was lost.
const (
	NotCut Cut = iota
	ByEnd
	ByReset
)

// Join copies both ways between a client and an endpoint. When a side ends, the end is passed on, and the other may
// still finish what it has to say, but must move within the limit. When a side fails, both are closed.
func Join(client, endpoint *net.TCPConn, f *Flow, limit time.Duration) Cut {
	j := &join{limit: limit, flow: f}
	var wg sync.WaitGroup
	wg.Go(func() { j.copy(client, endpoint, false) })
	j.copy(endpoint, client, true)
	wg.Wait()
	return j.cut
}

// join is a connection whose directions end one by one.
type join struct {
	limit time.Duration
	flow  *Flow
	mu    sync.Mutex
	ended bool // one direction has ended, and that was passed on
	over  bool // one direction has ended or failed
	cut   Cut  // by the direction that was over first
}

// copy copies from src, which is the client or the endpoint, to dst until src ends.
func (j *join) copy(dst, src *net.TCPConn, fromClient bool) {
	for {
		n, err := copyTCP(dst, src, j.flow, fromClient)
		if errors.Is(err, os.ErrDeadlineExceeded) && n > 0 {
			_ = src.SetReadDeadline(time.Now().Add(j.limit)) // if it fails, so does the next read
			continue
		}
		j.note(fromClient, err)
		if err != nil || dst.CloseWrite() != nil {
			_ = dst.Close()
			_ = src.Close()
			return
		}
		j.end(dst)
		return
	}
}

// note notes how the first direction ended.
func (j *join) note(fromClient bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return
	}
	j.over = true
	switch {
	case fromClient || !j.flow.asked.Load() || errors.As(err, new(writeError)) || errors.Is(err, net.ErrClosed):
	case errors.Is(err, syscall.ECONNRESET):
		j.cut = ByReset
	default:
		j.cut = ByEnd
	}
}

// end starts the limit once nothing more goes to dst: from now on dst is only read from.
func (j *join) end(dst *net.TCPConn) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.ended {
		j.ended = true
		_ = dst.SetReadDeadline(time.Now().Add(j.limit)) // if it fails, so does the next read
	}
}
