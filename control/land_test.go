package control

import (
	"context"
	"maps"
	"net/netip"
	"sync"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// land is a fake engine whose networks are bridges with room for service addresses, and whose replicas people can cut
// off from them.
type land struct {
	*enginefake.Engine
	mu      sync.Mutex
	renewed map[string]string // networks that were created again: the ending of their new ID
	narrow  bool              // there is room for one address
	none    bool              // there is no room
	cut     map[string]string // by replica ID: the network that it was cut off from
	set     map[string]int    // how often a replica was given names
	slow    time.Duration     // how long a start and a look go on after what they do
}

func newLand(b *bed) *land {
	b.land = &land{Engine: b.engine, renewed: map[string]string{}, cut: map[string]string{}, set: map[string]int{}}
	b.stop()
	b.start()
	return b.land
}

func (l *land) Holdings(ctx context.Context, stack string) (rhumb.Holdings, error) {
	h, err := l.Engine.Holdings(ctx, stack)
	l.mu.Lock()
	defer l.mu.Unlock()
	h.Bridges = nil
	for _, n := range h.Networks {
		b := rhumb.Bridge{Network: n, ID: n + l.renewed[n], Interface: "br-" + n,
			Subnet:  netip.MustParsePrefix("8.0.0.0/5"),
			Gateway: netip.MustParseAddr("8.0.0.1"), Addresses: netip.MustParsePrefix("12.0.0.0/16")}
		switch {
		case l.none:
			b.Addresses = netip.Prefix{}
		case l.narrow:
			b.Addresses = netip.MustParsePrefix("12.0.0.0/32")
		}
		h.Bridges = append(h.Bridges, b)
	}
	return h, err
}

func (l *land) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	list, err := l.Engine.Replicas(ctx, stack)
	l.drag()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range list {
		list[i].Addrs = maps.Clone(r.Addrs)
		delete(list[i].Addrs, l.cut[r.ID])
	}
	return list, err
}

func (l *land) Start(ctx context.Context, spec rhumb.ReplicaSpec) (rhumb.Replica, error) {
	r, err := l.Engine.Start(ctx, spec)
	l.drag()
	return r, err
}

func (l *land) drag() {
	l.mu.Lock()
	d := l.slow
	l.mu.Unlock()
	time.Sleep(d)
}

func (l *land) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	l.mu.Lock()
	l.set[id]++
	l.mu.Unlock()
	return l.Engine.SetHosts(ctx, id, hosts)
}

func (l *land) does(f func()) {
	l.mu.Lock()
	f()
	l.mu.Unlock()
}
