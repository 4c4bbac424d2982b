// Package transparent makes connections in which a replica sees the address of the proxy's client instead of the
// proxy's. The socket is bound to the client's address, and the replica answers to that address, which it reaches
// through this machine. There a rule marks what belongs to such a socket, and marked packets are routed to this machine
// itself. See "Client addresses" in the proxy's DESIGN.md.
package transparent

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rhumb/internal/pause"
)

// Options configures a Machine.
type Options struct {
	Instance string       // names what is made in the kernel: that of one proxy and its successors; required
	Log      *slog.Logger // nil: nothing is logged
}

// Machine is this machine's part in such connections. What it makes in the kernel outlives the process, and is found
// again by the next one of the same instance.
type Machine struct {
	kernel   kernel
	log      *slog.Logger
	doubts   doubts
	suspects chan netip.Addr         // endpoints that Run tries again
	now      atomic.Pointer[picture] // never nil

	mu     sync.Mutex          // one look at a time; guards what is below
	looked time.Time           // when the last look began
	deaf   bool                // some changes of the machine's network aren't reported
	wanted map[netip.Addr]bool // endpoints
	trials map[netip.Addr]trial
	said   string // what was logged last
}

// trial is what trying an endpoint has shown.
type trial struct {
	why string // why its answers to clients don't come back; "": they do
	at  time.Time
}

// New returns a Machine that has done nothing yet.
func New(o Options) *Machine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Machine{kernel: kernelOf(o.Instance), log: o.Log, suspects: make(chan netip.Addr, 16),
		trials: map[netip.Addr]trial{}}
	m.now.Store(unprepared)
	return m
}

const (
	tickEach    = time.Second
	lookEach    = 10 * time.Second       // for reports that were missed
	lookSoonest = 100 * time.Millisecond // after a change of the machine's network: they come in bursts
	tryAgain    = time.Second            // an endpoint whose answers didn't come back
)

// Ensure prepares the machine for connections to these endpoints, and finds out whether answers to clients come back
// from those that are new. It takes trialTime and controlTime at most, and is idempotent. What can't be is no error:
// Why says so. Without endpoints it does nothing, and neither does Run.
func (m *Machine) Ensure(ctx context.Context, endpoints map[netip.Addr]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = maps.Clone(endpoints)
	maps.DeleteFunc(m.trials, func(e netip.Addr, _ trial) bool { return !m.wanted[e] })
	m.look(ctx, func(netip.Addr) bool { return false })
}

// Run repairs what Ensure has made, soon after the machine's network has changed and every ten seconds, until ctx ends.
// It then leaves everything as it is.
func (m *Machine) Run(ctx context.Context) error {
	var changes <-chan struct{}
	stop := func() {}
	defer func() { stop() }()
	tick := time.NewTicker(tickEach)
	defer tick.Stop()
	for {
		if changes == nil && m.needed() {
			changes, stop = m.changes()
		}
		var suspect netip.Addr
		select {
		case <-ctx.Done():
			return nil
		case suspect = <-m.suspects:
		case <-tick.C:
			if !m.due() {
				continue
			}
		case <-changes:
			if !pause.For(ctx, lookSoonest) {
				return nil
			}
		}
		m.mu.Lock()
		m.look(ctx, func(e netip.Addr) bool {
			t := m.trials[e]
			return e == suspect || t.why != "" && time.Since(t.at) >= tryAgain
		})
		m.mu.Unlock()
	}
}

// due reports whether it is time for a look that nothing else has asked for.
func (m *Machine) due() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf || time.Since(m.looked) >= lookEach {
		return true
	}
	for _, t := range m.trials {
		if t.why != "" {
			return true
		}
	}
	return false
}

func (m *Machine) needed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.wanted) > 0
}

// Why returns why the replica can't see the client's address in a connection to the endpoint, or "" if it can.
func (m *Machine) Why(client, endpoint netip.Addr) string {
	if why := m.now.Load().why(client, endpoint); why != "" {
		return why
	}
	if m.doubts.have(client, endpoint) {
		return "a moment ago no answer to this client came back"
	}
	return ""
}

// WhyNone returns why the replica can't see the address of any client, or "" if it can see those of most.
func (m *Machine) WhyNone(endpoint netip.Addr) string {
	return m.now.Load().whyNone(endpoint)
}

// Doubt notes that the endpoint hasn't answered a client. For doubtTime, Why advises against such connections. Run
// tries the endpoint again.
func (m *Machine) Doubt(client, endpoint netip.Addr) {
	m.doubts.add(client, endpoint)
	select {
	case m.suspects <- endpoint:
	default: // others are being tried
	}
}

// Remove removes from the kernel what the instance has made there. It is idempotent.
func (m *Machine) Remove() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = nil
	m.now.Store(unprepared)
	return m.kernel.remove()
}

// look repairs what is missing, and tries endpoints: those that were never tried, and those that again names. The
// caller holds mu.
func (m *Machine) look(ctx context.Context, again func(netip.Addr) bool) {
	if len(m.wanted) == 0 {
		return
	}
	m.looked = time.Now()
	p := &picture{}
	var repaired []string
	repaired, p.broken4, p.broken6 = m.kernel.make()
	if bridges, err := lookBridges(); err == nil {
		p.bridges = bridges
	} else {
		p.broken4, p.broken6 = err.Error(), err.Error()
	}
	m.report(repaired, p)
	m.try(ctx, p, again)
	p.trials = maps.Clone(m.trials)
	m.now.Store(p)
}

// report logs what has changed since the last look.
func (m *Machine) report(repaired []string, p *picture) {
	if len(repaired) > 0 {
		m.doubts.forget()
		m.log.Info("routing of client addresses made", "what", repaired)
	}
	said := p.broken4 + "\n" + p.broken6
	if said != m.said && said != "\n" {
		m.log.Warn("client addresses not shown to replicas", "ipv4", p.broken4, "ipv6", p.broken6)
	}
	m.said = said
}

// short returns some bytes that are always the same for a kind and a name.
func short(kind, name string) [sha256.Size]byte { return sha256.Sum256([]byte(kind + "\x00" + name)) }
