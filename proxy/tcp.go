package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"rhumb/proxy/internal/inbound"
)

// serveTCP leads one connection to an endpoint of the backend and returns when both directions have ended, or when
// ctx cuts it. It closes c.
func (b *balancer) serveTCP(ctx context.Context, c *inbound.Conn, name string) error {
	defer c.Close()
	var up *upstreamConn
	var l lease
	err := b.reach(ctx, name, func(try lease) error {
		began := time.Now()
		conn, err := b.dial(ctx, try.addr)
		if err != nil {
			return err
		}
		up, l = conn, try
		l.release.answered(time.Since(began))
		return nil
	})
	if err != nil {
		return err
	}
	defer l.drop()
	defer up.Close()
	cut := context.AfterFunc(ctx, func() {
		c.TCPConn.Close()
		up.Close()
	})
	defer cut()
	b.join(c.TCPConn, up.TCPConn)
	return nil
}

// join copies both ways. A side's end is passed on as an end, so that the other may still say what it has to say; a
// side's failure closes both.
func (b *balancer) join(x, y *net.TCPConn) {
	half := &halfClose{limit: b.limits.HalfTime}
	var wg sync.WaitGroup
	wg.Go(func() { half.copy(x, y) })
	half.copy(y, x)
	wg.Wait()
}

// halfClose knows whether one direction has ended. From then on the other must move within the limit.
type halfClose struct {
	limit time.Duration
	mu    sync.Mutex
	ended bool
}

// copy copies from src to dst until src ends.
func (h *halfClose) copy(dst, src *net.TCPConn) {
	for {
		n, err := copyTCP(dst, src)
		if errors.Is(err, os.ErrDeadlineExceeded) && n > 0 {
			src.SetReadDeadline(time.Now().Add(h.limit))
			continue
		}
		if err != nil || dst.CloseWrite() != nil {
			dst.Close()
			src.Close()
			return
		}
		h.end(dst)
		return
	}
}

// end is called when nothing more goes to dst: from now on dst is only read from.
func (h *halfClose) end(dst *net.TCPConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.ended {
		h.ended = true
		dst.SetReadDeadline(time.Now().Add(h.limit))
	}
}
