// Package proxy is the data plane. It owns the published ports, routes what comes in to the replicas that are ready,
// and lets draining replicas finish. See DESIGN.md beside this file.
package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/limits"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
	"rhumb/proxy/internal/web"
	"rhumb/proxy/internal/wire"
)

// Options configures a proxy.
type Options struct {
	State          string         // the folder of table.json; "": the table is kept in memory only
	Socket         string         // the path of the control socket; "": none, Apply is called in the process
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-* are believed
	AcceptProxy    bool           // they begin connections to the entries with a header of the PROXY protocol
	Version        string         // of the binary; Status reports it
	Certificates   Certificates   // nil: nothing is served over TLS
	WAF            WAF            // nil: nothing looks at requests
	Limits         Limits         // zero fields take their defaults
	Segments       Segments       // nil: tables with segments are refused
	// Instance names what the proxy makes in the machine's kernel, so that replicas see clients' addresses. Proxies that
	// succeed each other have the same. "": it makes nothing, and replicas see the proxy's address.
	Instance string
	Lives    Lives    // nil: a dead replica stays in until the daemon takes it out
	Firewall string   // whose table in the kernel drops banned clients; "": the kernel drops none
	CrowdSec CrowdSec // whose decisions are enforced too
	// RouteFiles returns the content of a file of routes by its hash; nil: there are none.
	RouteFiles   func(hash string) ([]byte, error)
	StandardHTTP bool         // HTTP/1 is served by the standard library, which costs more
	Access       io.Writer    // gets a line for each request to a backend with an access log; nil: there are none
	Log          *slog.Logger // nil: nothing is logged
}

// Proxy serves a routing table. It implements rhumb.Router.
type Proxy struct {
	options   Options
	limits    Limits
	log       *slog.Logger
	saved     tableFile
	served    *served
	chains    *chain.Room
	listeners *listeners
	segments  *segmentKeeper
	clients   *clientKeeper
	http      *web.Server
	certs     Certificates
	bans      *banning
	conns     conns
	started   time.Time
	running   chan struct{} // closed once tables are taken

	turn      turn          // one change at a time: a table, a bind, a takeover, the end
	ended     bool          // no new tables and sockets; the turn guards it
	stopping  chan struct{} // closed once it is to end without a successor
	succeeded chan struct{} // closed once another process serves instead
	successor atomic.Int64  // the process ID of that process
	before    wire.Predecessors
}

// conns is the life of the client connections.
type conns struct {
	ctx       context.Context // when it ends the connections are cut
	cut       context.CancelFunc
	work      sync.WaitGroup // accept loops with their connections, and the HTTP servers
	accepting sync.WaitGroup // accept loops that still accept
	shaking   sync.WaitGroup // TLS handshakes
}

// turn lets one goroutine at a time change the proxy. Unlike a mutex it may be held over I/O, and waiting for it ends
// with a context. Connections, Status and deaths of replicas never wait for it.
type turn chan struct{}

// take waits for the turn.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return rhumb.Errorf(rhumb.Unavailable, "proxy: an earlier change is still under way: %w", context.Cause(ctx))
	}
}

// wait waits for the turn, however long that takes.
func (t turn) wait() { t <- struct{}{} }

func (t turn) end() { <-t }

// tableFile keeps the served table across restarts.
type tableFile interface {
	Load() (rhumb.Table, error)
	Save(rhumb.Table) error
}

// New returns a proxy that serves nothing until Run.
func New(o Options) (*Proxy, error) {
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Certificates == nil {
		o.Certificates = noCertificates{}
	}
	if o.WAF == nil {
		o.WAF = noWAF{}
	}
	if o.Segments == nil {
		o.Segments = noSegments{}
	}
	p := &Proxy{options: o, limits: o.Limits.WithDefaults(), log: o.Log, saved: table.File{Dir: o.State, Log: o.Log},
		certs: o.Certificates, chains: chain.NewRoom(o.RouteFiles, o.WAF.Inspect, o.Log),
		running: make(chan struct{}), turn: make(turn, 1), stopping: make(chan struct{}),
		succeeded: make(chan struct{}), before: wire.Predecessors{Log: o.Log}}
	p.conns.ctx, p.conns.cut = context.WithCancel(context.Background())
	p.served = newServed(p.letGo)
	p.segments = newSegmentKeeper(o.Segments, p.served, o.Log)
	p.clients = newClientKeeper(o.Instance, o.Log)
	balancer := backend.New(&p.served.now, p.limits)
	balancer.Transparent = p.clients.dials()
	tcp := &tcpServer{served: p.served, balancer: balancer, limits: p.limits}
	var err error
	if p.bans, err = newBanning(o, tcp.flows.Cut); err != nil {
		return nil, err
	}
	tcp.bans = p.bans.book
	p.http = web.New(web.Deps{Served: &p.served.now, Balancer: balancer, Certificates: p.certs,
		Trusted: o.TrustedProxies, Limits: p.limits, Standard: o.StandardHTTP,
		Bans: p.bans.book, SlotKey: slotKey(o.State, o.Log), Access: o.Access, Log: o.Log})
	accept := &acceptor{served: p.served, conns: &p.conns, balancer: balancer, http: p.http, tcp: tcp, bans: p.bans.book,
		tls: inbound.TLSConfig(p.certs.Certificate), places: make(limits.Places, p.limits.TotalConns),
		trusted: o.TrustedProxies, entryNamed: o.AcceptProxy, limits: p.limits, log: o.Log}
	p.listeners = newListeners(accept.serve, o.Log)
	return p, nil
}

// Dial returns a Router that calls the proxy on the control socket. It connects at each call and keeps no connection.
// Its errors are those of the Proxy, or Unavailable if the proxy can't be reached.
func Dial(socket string) rhumb.Router { return wire.Dial(socket) }

// Serving is closed once Run serves what a predecessor handed over, or the table on disk.
func (p *Proxy) Serving() <-chan struct{} { return p.running }

// Successor returns the ID of the process that serves instead of this one. It is 0 if there is none, or if its ID is
// unknown.
func (p *Proxy) Successor() int { return int(p.successor.Load()) }

// Status implements rhumb.Router.
func (p *Proxy) Status(ctx context.Context) (rhumb.RouterStatus, error) {
	select {
	case <-p.succeeded:
		return rhumb.RouterStatus{}, wire.ErrLeaving
	case <-p.stopping:
		return rhumb.RouterStatus{}, wire.ErrLeaving
	default:
	}
	s := p.served.load()
	open, busy := p.open(nil)
	st := rhumb.RouterStatus{Table: s.Table, Open: open, Busy: busy, Backends: s.Stats(),
		Certificates: p.certs.Status(), Unbound: p.listeners.unboundNow(), Started: p.started, PID: os.Getpid(),
		Goroutines: runtime.NumGoroutine(), Version: p.options.Version, Unseen: p.clients.unseen(s.Table),
		Bans: p.bans.status()}
	innerOpen, innerBusy := p.segments.Open(ctx)
	add(open, innerOpen)
	add(busy, innerBusy)
	if err := p.segments.Supported(); err != nil {
		st.NoSegments = err.Error()
	}
	return st, nil
}

// open counts what is in flight here and in earlier proxies, and what of it is busy. If t isn't nil, the earlier
// proxies serve it first.
func (p *Proxy) open(t *rhumb.Table) (open, busy map[string]int) {
	oldOpen, oldBusy := p.before.Ask(t)
	open, busy = p.served.load().Open()
	add(open, oldOpen)
	add(busy, oldBusy)
	return open, busy
}

func add(to, counts map[string]int) {
	for id, n := range counts {
		to[id] += n
	}
}

// Check implements rhumb.Router.
func (p *Proxy) Check(_ context.Context, ls []rhumb.Listener) error {
	for _, l := range ls {
		b := socket.Of(l)
		if _, ok := p.served.load().Listeners[b]; ok {
			continue
		}
		if err := socket.Try(b); err != nil {
			return err
		}
	}
	return nil
}

var _ rhumb.Router = (*Proxy)(nil)
