// Package proxy is the data plane: it owns the published ports, leads what comes in to the replicas that are ready,
// and lets those that drain finish. See DESIGN.md beside this file.
package proxy

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/failpoint"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
	"rhumb/proxy/internal/wire"
)

// Options is what a proxy is told at its start.
type Options struct {
	State          string         // the folder of table.json; "": the table is kept in memory only
	Socket         string         // the path of the control socket; "": none, Apply is called in the process
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-* are believed
	Version        string         // of the binary; Status tells it
	Certificates   Certificates   // nil: nothing is served over TLS
	Limits         Limits         // zero fields take their defaults
	Segments       Segments       // nil: tables with segments are refused
	Lives          Lives          // nil: a dead replica stays in until the daemon takes it out
	Log            *slog.Logger   // nil: nothing is logged
}

// Proxy serves a routing table. It implements rhumb.Router.
type Proxy struct {
	options    Options
	saved      table.File
	limits     Limits
	log        *slog.Logger
	served     atomic.Pointer[snapshot]
	balancer   *balancer
	http       *httpServer
	certs      Certificates
	tls        *tls.Config
	places     slots // for connections in all
	started    time.Time
	running    chan struct{} // closed once tables are taken
	before     wire.Predecessors
	unboundNow atomic.Pointer[[]rhumb.Listener]
	successor  atomic.Int64    // its process
	life       context.Context // of the connections: when it ends they are cut
	cut        context.CancelFunc

	mu        sync.Mutex // one Apply at a time; also guards what is below
	sockets   map[socket.Binding]*listener
	missing   map[socket.Binding]bool // in the table but not bound; what Status tells is in unboundNow
	ended     bool                    // no new sockets
	dead      dead
	segments  Segments
	disown    func()        // lets go of the segments
	succeeded chan struct{} // closed once another process serves instead

	work      sync.WaitGroup // accept loops with their connections, and the HTTP server
	accepting sync.WaitGroup // accept loops that still accept
	shaking   sync.WaitGroup // TLS handshakes
}

// New makes a proxy. It starts nothing; Run does.
func New(o Options) (*Proxy, error) {
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{options: o, saved: table.File{Dir: o.State, Log: o.Log}, limits: o.Limits.withDefaults(), log: o.Log, running: make(chan struct{}),
		succeeded: make(chan struct{}), sockets: map[socket.Binding]*listener{}, missing: map[socket.Binding]bool{}}
	if p.segments = o.Segments; p.segments == nil {
		p.segments = noSegments{}
	}
	p.dead = dead{ids: map[string]bool{}, risen: map[string][]netip.Addr{}}
	p.served.Store(emptySnapshot())
	p.before.Log = o.Log
	p.balancer = &balancer{served: &p.served, limits: p.limits, retries: 100 * time.Millisecond,
		upstreams: make(slots, p.limits.Upstreams), sessions: make(slots, p.limits.TotalSessions)}
	p.life, p.cut = context.WithCancel(context.Background())
	p.places = make(slots, p.limits.TotalConns)
	if p.certs = o.Certificates; p.certs == nil {
		p.certs = noCertificates{}
	}
	p.tls = inbound.TLSConfig(p.certs.Certificate)
	p.http = newHTTPServer(p.balancer, o, p.certs)
	return p, nil
}

// Dial gives the proxy that listens on the control socket, as the wire's other end. It connects at each call, not before, and keeps no connection.
// Its errors are those of the Proxy, or Unavailable when it can't be reached.
func Dial(socket string) rhumb.Router { return wire.Dial(socket) }

// Apply implements rhumb.Router. Before Run serves, it waits.
func (p *Proxy) Apply(ctx context.Context, t rhumb.Table) error {
	if err := table.Validate(t); err != nil {
		return err
	}
	select {
	case <-p.running:
	case <-ctx.Done():
		return rhumb.Errorf(rhumb.Unavailable, "the proxy isn't serving yet: %w", context.Cause(ctx))
	}
	t = t.Clone()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return wire.ErrLeaving
	}
	if now := p.served.Load().table; t.Version <= now.Version {
		if t.Equal(now) {
			return nil
		}
		return rhumb.Errorf(rhumb.Conflict, "routing table: version %d isn't above the served one, %d", t.Version, now.Version)
	}
	if err := p.change(ctx, t); err != nil {
		return err
	}
	p.before.Ask(&t)
	return nil
}

// change serves t, or leaves everything as it was.
func (p *Proxy) change(ctx context.Context, t rhumb.Table) error {
	bs := p.unbound(t)
	bs.fresh = slices.DeleteFunc(bs.fresh, func(b socket.Binding) bool { return p.missing[b] }) // keepBinding tries those
	bound, err := listenAll(ctx, bs.fresh)
	if err != nil {
		return err
	}
	moved, err := p.exchange(ctx, bs)
	if err != nil {
		closeAll(bound)
		return err
	}
	bound = append(bound, moved...)
	if err := p.serveSegments(ctx, t); err != nil {
		closeAll(bound)
		p.restore(ctx, bs.inTheWay)
		return err
	}
	failpoint.Here("proxy before it saves a table")
	if err := p.saved.Save(t); err != nil {
		closeAll(bound)
		p.restore(ctx, bs.inTheWay)
		p.restoreSegments(ctx)
		return err
	}
	failpoint.Here("proxy after it saved a table")
	before := p.served.Load().table
	p.swap(t, bound)
	p.dropSegments(ctx, before, t)
	return nil
}

// swap serves t from now on, with the sockets that were bound for it, and lets go of what t has no use for.
func (p *Proxy) swap(t rhumb.Table, bound []*socket.Socket) {
	p.certs.Manage(t)
	old := p.served.Load()
	p.dead.leave(old.table, t)
	next := old.next(t, p.dead.hides)
	p.served.Store(next)
	close(old.replaced)
	for _, s := range bound {
		p.begin(s)
	}
	for b, s := range p.sockets {
		if _, ok := next.listeners[b]; !ok {
			s.close()
			delete(p.sockets, b)
		}
	}
	maps.DeleteFunc(p.missing, func(b socket.Binding, _ bool) bool { _, ok := next.listeners[b]; return !ok })
	p.noteMissing()
	p.letGo(old, next)
	p.dismissLeaving(next)
	p.log.Info("table served", "version", t.Version, "listeners", len(t.Listeners), "backends", len(t.Backends))
}

// letGo closes idle connections to what gets no new requests, and UDP sessions to what is gone.
func (p *Proxy) letGo(old, next *snapshot) {
	active := next.activeTargets()
	for _, t := range old.targets {
		if !active[t] {
			t.http.closeIdle()
		}
	}
	for b, s := range p.sockets {
		if s.udp == nil {
			continue
		}
		mine := map[*target]bool{}
		if be := next.backends[next.listeners[b].Backend]; be != nil {
			for _, e := range be.spec.Endpoints {
				mine[next.targets[targetKey{e.Replica, e.Addr}]] = !p.dead.hides(e)
			}
		}
		s.udp.keepOnly(func(t *target) bool { return mine[t] })
	}
}

// begin serves a socket until it is closed. The caller holds mu.
func (p *Proxy) begin(s *socket.Socket) {
	l := &listener{Socket: s}
	p.sockets[s.Bound] = l
	if s.UDP != nil {
		l.udp = newUDPListener(s.UDP)
		u := &udpServer{udpListener: l.udp, balancer: p.balancer, log: p.log,
			backend: func() string { return p.served.Load().listeners[s.Bound].Backend }}
		p.work.Go(u.run)
		return
	}
	p.accepting.Add(1)
	loop := &acceptLoop{socket: s, total: p.places, own: make(slots, p.limits.Conns), serve: p.serve,
		full: p.makeRoom, ended: p.accepting.Done, log: p.log}
	p.work.Go(loop.run)
}

// makeRoom closes connections that nobody uses, of those that came in at such an address.
func (p *Proxy) makeRoom(at func(socket.Binding) bool) {
	p.http.conns.MakeRoom(at)
	p.balancer.tcp.makeRoom(at, p.limits.StillTime)
}

// serve does with a connection what the table says of its listener.
func (p *Proxy) serve(c *inbound.Conn) (rest func()) {
	l, ok := p.served.Load().listeners[c.Bound]
	switch {
	case !ok:
		c.Close()
		return nil
	case l.Protocol == rhumb.HTTP:
		p.http.serve(c)
		return nil
	case l.Protocol == rhumb.HTTPS:
		p.shaking.Add(1)
		return func() {
			defer p.shaking.Done()
			if c.Handshake(p.life, p.tls, p.limits.HeaderTime, p.log) {
				p.http.serve(c)
			}
		}
	}
	return func() {
		if err := p.balancer.serveTCP(p.life, c, l.Backend); err != nil {
			p.log.Debug("connection not served", "listener", c.Bound.String(), "backend", l.Backend, "error", err)
		}
	}
}

// Serving is closed once Run serves: what a predecessor handed over, or the table on disk.
func (p *Proxy) Serving() <-chan struct{} { return p.running }

// Status implements rhumb.Router.
func (p *Proxy) Status(ctx context.Context) (rhumb.RouterStatus, error) {
	select {
	case <-p.succeeded:
		return rhumb.RouterStatus{}, wire.ErrLeaving
	default:
	}
	s := p.served.Load()
	open, busy := p.open(nil)
	st := rhumb.RouterStatus{Table: s.table, Open: open, Busy: busy, Backends: make(map[string]rhumb.BackendStats, len(s.backends)),
		Certificates: p.certs.Status(), Started: p.started, PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), Version: p.options.Version}
	innerOpen, innerBusy := p.segments.Open(ctx)
	add(open, innerOpen)
	add(busy, innerBusy)
	if err := p.segments.Supported(); err != nil {
		st.NoSegments = err.Error()
	}
	for name, b := range s.backends {
		st.Backends[name] = b.counters.stats()
	}
	if missing := p.unboundNow.Load(); missing != nil {
		st.Unbound = *missing
	}
	return st, nil
}

// Check implements rhumb.Router.
func (p *Proxy) Check(_ context.Context, ls []rhumb.Listener) error {
	for _, l := range ls {
		b := socket.Of(l)
		if _, ok := p.served.Load().listeners[b]; ok {
			continue
		}
		if err := socket.Try(b); err != nil {
			return err
		}
	}
	return nil
}
