package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
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
	end := func() {
		c.TCPConn.Close()
		up.Close()
	}
	cut := context.AfterFunc(ctx, end)
	defer cut()
	b.tcp.add(c)
	defer b.tcp.remove(c)
	f := newFlow(end)
	f.ends = []*net.TCPConn{c.TCPConn, up.TCPConn}
	l.replica.flows.add(f)
	defer l.replica.flows.remove(f)
	if short, reset := b.join(c.TCPConn, up.TCPConn, f); short && (reset || !b.served.load().stays[l.replica.id]) {
		l.backend.cut.Add(1)
	}
	return nil
}

// join copies both ways. A side's end is passed on as an end, so that the other may still say what it has to say; a
// side's failure closes both. It reports whether the endpoint was the first to end, while an answer may have been due, and
// whether it did so by a reset. Many a protocol has a last word that isn't answered, so an end alone proves nothing.
func (b *balancer) join(client, up *net.TCPConn, f *flow) (short, reset bool) {
	half := &halfClose{limit: b.limits.HalfTime, flow: f}
	var wg sync.WaitGroup
	wg.Go(func() { half.copy(client, up, false) })
	half.copy(up, client, true)
	wg.Wait()
	return half.short, half.reset
}

// halfClose knows whether one direction has ended. From then on the other must move within the limit.
type halfClose struct {
	limit time.Duration
	flow  *flow
	mu    sync.Mutex
	ended bool
	over  bool // the first direction has ended
	short bool // and that was the endpoint's, while an answer may have been due
	reset bool // by a reset
}

// copy copies from src, which is the client or the endpoint, to dst until src ends.
func (h *halfClose) copy(dst, src *net.TCPConn, fromClient bool) {
	for {
		n, err := copyTCP(dst, src, func() func() { return h.flow.passOn(fromClient) })
		if errors.Is(err, os.ErrDeadlineExceeded) && n > 0 {
			src.SetReadDeadline(time.Now().Add(h.limit))
			continue
		}
		h.first(fromClient, err)
		if err != nil || dst.CloseWrite() != nil {
			dst.Close()
			src.Close()
			return
		}
		h.end(dst)
		return
	}
}

// first notes how the first direction ended.
func (h *halfClose) first(fromClient bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	h.over = true
	h.short = !fromClient && h.flow.asked.Load() && !errors.As(err, new(writeError)) && !errors.Is(err, net.ErrClosed)
	h.reset = errors.Is(err, syscall.ECONNRESET)
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
