package proxy

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/socket"
)

// listener is a socket that is served.
type listener struct {
	*socket.Socket
	udp *udpListener // nil: TCP
}

// close stops accepting. Open connections live on; UDP sessions of the socket end.
func (l *listener) close() {
	if l.udp != nil {
		l.udp.end()
	}
	l.Close()
}

// quit stops accepting for good. A UDP socket is kept so that answers can still be sent.
func (l *listener) quit() {
	if l.udp != nil {
		l.udp.quit()
		return
	}
	l.close()
}

// listeners are the sockets of the served table. Only the holder of the proxy's turn changes them; mu guards the maps
// for those who read them without it.
type listeners struct {
	serve   func(*socket.Socket) *listener
	log     *slog.Logger
	unbound atomic.Pointer[[]rhumb.Listener] // those of missing, for Status

	mu      sync.Mutex
	bound   map[socket.Binding]*listener
	missing map[socket.Binding]bool // in the table but not bound
}

func newListeners(serve func(*socket.Socket) *listener, log *slog.Logger) *listeners {
	return &listeners{serve: serve, log: log, bound: map[socket.Binding]*listener{}, missing: map[socket.Binding]bool{}}
}

// bindings is what a new table needs bound.
type bindings struct {
	fresh    []socket.Binding // to be bound beside all that is
	rebound  []socket.Binding // to be bound once those in the way are closed
	inTheWay []socket.Binding // ours, given up by the table, and overlapping: "127.0.0.1:80" becomes "[::]:80"
}

// wanted returns the bindings that t needs and that aren't bound yet. It leaves out those that bindMissing retries.
func (ls *listeners) wanted(t rhumb.Table) bindings {
	wanted := make(map[socket.Binding]bool, len(t.Listeners))
	for _, l := range t.Listeners {
		wanted[socket.Of(l)] = true
	}
	closing := map[socket.Binding]bool{}
	var bs bindings
	for _, l := range t.Listeners {
		b, free := socket.Of(l), true
		if ls.bound[b] != nil {
			continue
		}
		for o := range ls.bound {
			if !wanted[o] && b.Overlaps(o) {
				closing[o], free = true, false
			}
		}
		switch {
		case !free:
			bs.rebound = append(bs.rebound, b)
		case !ls.missing[b]:
			bs.fresh = append(bs.fresh, b)
		}
	}
	bs.inTheWay = slices.Collect(maps.Keys(closing))
	return bs
}

// listenAll binds all of them or none.
func listenAll(ctx context.Context, bs []socket.Binding) ([]*socket.Socket, error) {
	var bound []*socket.Socket
	for _, b := range bs {
		s, err := socket.Listen(ctx, b)
		if err != nil {
			closeAll(bound)
			return nil, socket.Explain(b, err)
		}
		bound = append(bound, s)
	}
	return bound, nil
}

func closeAll(ss []*socket.Socket) {
	for _, s := range ss {
		s.Close()
	}
}

// exchange closes our sockets that are in the way, and binds the others. Between the two, for some microseconds, a
// connection would be refused. Only this change of a table has such a gap; avoiding it would need shared ports. If
// binding fails, what was closed is bound again.
func (ls *listeners) exchange(ctx context.Context, bs bindings) ([]*socket.Socket, error) {
	for _, o := range bs.inTheWay {
		ls.drop(o)
	}
	bound, err := listenAll(ctx, bs.rebound)
	if err != nil {
		ls.restore(ctx, bs.inTheWay)
		return nil, err
	}
	return bound, nil
}

// restore binds again what exchange closed. If another process has taken an address meanwhile, bindMissing retries it.
func (ls *listeners) restore(ctx context.Context, gone []socket.Binding) {
	for _, b := range gone {
		s, err := socket.Listen(context.WithoutCancel(ctx), b)
		if err != nil {
			ls.log.Error("listener lost", "address", b.String(), "err", err)
			continue
		}
		ls.begin(s)
	}
}

// begin serves a socket until it is closed.
func (ls *listeners) begin(s *socket.Socket) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.bound[s.Bound] = ls.serve(s)
	delete(ls.missing, s.Bound)
}

func (ls *listeners) drop(b socket.Binding) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.bound[b].close()
	delete(ls.bound, b)
}

// keep closes the sockets that the snapshot has no listener for.
func (ls *listeners) keep(s *backend.Snapshot) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for b, l := range ls.bound {
		if _, ok := s.Listeners[b]; !ok {
			l.close()
			delete(ls.bound, b)
		}
	}
	maps.DeleteFunc(ls.missing, func(b socket.Binding, _ bool) bool { _, ok := s.Listeners[b]; return !ok })
	ls.noteUnbound(s)
}

// bindMissing binds the listeners of the snapshot that have no socket, as far as possible.
func (ls *listeners) bindMissing(ctx context.Context, snap *backend.Snapshot) {
	failed := map[socket.Binding]error{} // for the first time
	for b := range snap.Listeners {
		if ls.bound[b] != nil {
			continue
		}
		s, err := socket.Listen(ctx, b)
		if err == nil {
			ls.begin(s)
			continue
		}
		if !ls.missing[b] {
			failed[b] = err
		}
	}
	ls.mu.Lock()
	for b := range failed {
		ls.missing[b] = true
	}
	ls.noteUnbound(snap)
	ls.mu.Unlock()
	for b, err := range failed { // last, because finding out which process holds an address takes time
		ls.log.Error("listener not bound, retrying", "address", b.String(), "err", socket.Explain(b, err))
	}
}

// noteUnbound keeps the missing listeners for Status. The caller holds mu.
func (ls *listeners) noteUnbound(s *backend.Snapshot) {
	var unbound []rhumb.Listener
	for _, l := range s.Table.Listeners {
		if ls.missing[socket.Of(l)] {
			unbound = append(unbound, l)
		}
	}
	ls.unbound.Store(&unbound)
}

// unboundNow returns the listeners of the table that can't be bound.
func (ls *listeners) unboundNow() []rhumb.Listener {
	if unbound := ls.unbound.Load(); unbound != nil {
		return *unbound
	}
	return nil
}

// all returns the sockets that are served.
func (ls *listeners) all() []*listener {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Collect(maps.Values(ls.bound))
}

// udp returns those of UDP.
func (ls *listeners) udp() []*listener {
	return slices.DeleteFunc(ls.all(), func(l *listener) bool { return l.udp == nil })
}

// keepBinding retries once a second to bind what could not be bound, such as an address that the host gets later, or a
// port that another process releases.
func (p *Proxy) keepBinding(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p.turn.wait()
		if !p.ended {
			p.listeners.bindMissing(ctx, p.served.load())
		}
		p.turn.end()
	}
}
