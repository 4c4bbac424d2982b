package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/limits"
	"rhumb/proxy/internal/rate"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/web"
)

// acceptor serves what comes in at the listeners.
type acceptor struct {
	served     *served
	conns      *conns
	balancer   *backend.Balancer
	http       *web.Server
	tcp        *tcpServer
	bans       *bans.Book
	tls        *tls.Config
	trusted    []netip.Prefix // peers that may name their clients in a preamble
	entryNamed bool           // they do so on the entries
	places     limits.Places  // for client connections in all
	limits     Limits
	log        *slog.Logger
}

// serve begins to serve a socket, until it is closed.
func (a *acceptor) serve(s *socket.Socket) *listener {
	l := &listener{Socket: s}
	if s.UDP != nil {
		l.udp = newUDPListener(s.UDP)
		u := &udpServer{udpListener: l.udp, balancer: a.balancer, limits: a.limits, bans: a.bans,
			backend: func() string { return a.served.load().Listeners[s.Bound].Backend }}
		a.conns.work.Go(u.run)
		return l
	}
	a.conns.accepting.Add(1)
	loop := &acceptLoop{socket: s, tuned: a.tune(s), total: a.places, own: make(limits.Places, a.limits.Conns),
		serve: a.serveConn, full: a.makeRoom, ended: a.conns.accepting.Done, log: a.log}
	a.conns.work.Go(loop.run)
	return l
}

// tune prepares a socket of HTTP for its connections, and reports whether it is one.
func (a *acceptor) tune(s *socket.Socket) bool {
	switch a.served.load().Listeners[s.Bound].Protocol {
	case rhumb.HTTP, rhumb.HTTPS:
		inbound.Tune(s.TCP, web.InboundLimits(a.limits))
		return true
	}
	return false
}

// serveConn treats a connection as the table says of its listener. It returns what the connection's own goroutine does,
// if it needs one.
func (a *acceptor) serveConn(c *inbound.Conn) (rest func()) {
	l, ok := a.served.load().Listeners[c.Bound]
	switch {
	case !ok:
		c.Close()
		return nil
	case (l.AcceptProxy || l.Backend == "" && a.entryNamed) && a.trusts(inbound.PeerOf(c)):
		a.conns.shaking.Add(1)
		return func() { a.serveNamed(c, l) }
	}
	return a.serveAs(c, l)
}

// serveNamed serves the connection of a trusted peer, which names its client first.
func (a *acceptor) serveNamed(c *inbound.Conn, l rhumb.Listener) {
	cut := context.AfterFunc(a.conns.ctx, func() { _ = c.TCPConn.Close() })
	err := inbound.ReadPreamble(c, a.limits.HeaderTime)
	cut()
	var rest func()
	if err == nil {
		rest = a.serveAs(c, l)
	}
	a.conns.shaking.Done() // its client is known, or a handshake of TLS follows
	switch {
	case err != nil:
		a.log.Debug("connection of a trusted proxy refused", "peer", inbound.PeerOf(c), "listener", c.Bound.String(),
			"err", err)
		_ = c.Close()
	case rest != nil:
		rest()
	}
}

func (a *acceptor) trusts(peer netip.Addr) bool {
	return slices.ContainsFunc(a.trusted, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// serveAs treats a connection whose client is known.
func (a *acceptor) serveAs(c *inbound.Conn, l rhumb.Listener) (rest func()) {
	switch {
	case l.Protocol == rhumb.HTTP:
		a.http.Serve(c)
		return nil
	case l.Protocol == rhumb.HTTPS:
		if _, banned := a.bans.Refuses(clientOf(c)); banned { // a trusted proxy never is
			c.Close()
			return nil
		}
		a.conns.shaking.Add(1)
		return func() {
			defer a.conns.shaking.Done()
			if c.Handshake(a.conns.ctx, a.tls, a.limits.HeaderTime, a.log) {
				a.http.Serve(c)
			}
		}
	}
	admitted, ok := a.admit(c, l.Backend)
	if !ok {
		c.Close()
		return nil
	}
	return func() {
		defer admitted.End()
		inbound.Untune(c)
		if err := a.tcp.serve(a.conns.ctx, c, l.Backend); err != nil {
			a.log.Debug("connection not served", "listener", c.Bound.String(), "backend", l.Backend, "err", err)
		}
	}
}

// admit reports whether a connection exceeds no limit of its backend. What it has until its end is the caller's to end.
func (a *acceptor) admit(c *inbound.Conn, backend string) (admitted *rate.Pass, ok bool) {
	admitted = &rate.Pass{}
	set := a.served.load().Limits(backend)
	if set == nil {
		return admitted, true
	}
	client := clientOf(c)
	if a.trusts(client) {
		return admitted, true
	}
	_, ok = set.Admit(admitted, time.Now(), rate.Request{Client: client})
	return admitted, ok
}

// makeRoom closes idle connections that came in at the address; the zero Binding is any address.
func (a *acceptor) makeRoom(at socket.Binding) {
	a.http.MakeRoom(at)
	a.tcp.flows.MakeRoom(at, a.limits.StillTime)
}

// acceptLoop takes connections from one socket until it is closed, and waits for those it has begun.
type acceptLoop struct {
	socket *socket.Socket
	tuned  bool // for connections of HTTP
	total  limits.Places
	own    limits.Places
	serve  func(*inbound.Conn) (rest func()) // rest, if any, is the connection's own goroutine
	// makes room while there is no place for another connection; zero: anywhere
	full  func(at socket.Binding)
	ended func() // called when no more are accepted
	log   *slog.Logger
}

func (a *acceptLoop) run() {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer a.ended()
	var backoff time.Duration
	for {
		if !a.place(a.own, a.socket.Bound, a.socket.Closed()) {
			return
		}
		c, err := a.socket.TCP.AcceptTCP()
		if err != nil {
			a.own.Release()
			if backoff = a.pause(err, backoff); backoff == 0 {
				return
			}
			continue
		}
		backoff = 0
		a.place(a.total, socket.Binding{}, nil) // even if the socket closes: an accepted connection is owed an answer
		cc := inbound.New(c, a.socket.Bound, func() {
			a.own.Release()
			a.total.Release()
		})
		cc.Tuned = a.tuned
		if rest := a.serve(cc); rest != nil {
			conns.Go(rest)
		}
	}
}

// place waits for a place, and has room made at an address meanwhile. It returns false if givenUp is closed first.
func (a *acceptLoop) place(among limits.Places, at socket.Binding, givenUp <-chan struct{}) bool {
	for {
		if among.Take() {
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

// pause waits after a failed accept, longer each time. It returns 0 if nothing can be accepted any more.
func (a *acceptLoop) pause(err error, last time.Duration) time.Duration {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return 0
	}
	if last == 0 {
		a.log.Warn("accepting failed", "address", a.socket.Bound.String(), "err", err)
	}
	d := min(max(2*last, 5*time.Millisecond), time.Second)
	select {
	case <-time.After(d):
		return d
	case <-a.socket.Closed():
		return 0
	}
}
