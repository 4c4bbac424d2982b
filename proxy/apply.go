package proxy

import (
	"context"

	"rhumb"
	"rhumb/internal/failpoint"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
	"rhumb/proxy/internal/wire"
)

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
	if err := p.turn.take(ctx); err != nil {
		return err
	}
	defer p.turn.end()
	if p.ended {
		return wire.ErrLeaving
	}
	if now := p.served.load().Table; t.Version <= now.Version {
		if t.Equal(now) {
			return nil
		}
		return rhumb.Errorf(rhumb.Conflict, "routing table: version %d isn't above the served version %d", t.Version,
			now.Version)
	}
	if err := p.change(ctx, t); err != nil {
		return err
	}
	p.before.Ask(&t)
	return nil
}

// change serves t. After an error everything is as it was. The caller holds the turn.
func (p *Proxy) change(ctx context.Context, t rhumb.Table) error {
	bs := p.listeners.wanted(t)
	bound, err := listenAll(ctx, bs.fresh)
	if err != nil {
		return err
	}
	moved, err := p.listeners.exchange(ctx, bs)
	if err != nil {
		closeAll(bound)
		return err
	}
	bound = append(bound, moved...)
	before := p.served.load().Table.Segments
	if err := p.segments.serve(ctx, before, t.Segments); err != nil {
		closeAll(bound)
		p.listeners.restore(ctx, bs.inTheWay)
		return err
	}
	failpoint.Here("proxy before it saves a table")
	if err := p.saved.Save(t); err != nil {
		closeAll(bound)
		p.listeners.restore(ctx, bs.inTheWay)
		p.segments.apply(context.WithoutCancel(ctx), before)
		return err
	}
	failpoint.Here("proxy after it saved a table")
	ctx = context.WithoutCancel(ctx) // the table is saved: finish
	p.swap(ctx, t, bound)
	p.segments.drop(ctx, before, t.Segments)
	return nil
}

// swap serves t from now on with the sockets that were bound for it, and lets go of what t doesn't use. The caller
// holds the turn.
func (p *Proxy) swap(ctx context.Context, t rhumb.Table, bound []*socket.Socket) {
	prepare(ctx, p, t)
	next := p.served.swap(t, p.chains.Compile(t, p.served.load().Chains))
	for _, s := range bound {
		p.listeners.begin(s)
	}
	p.listeners.keep(next)
	p.dismissLeaving(next)
	p.log.Info("table served", "version", t.Version, "listeners", len(t.Listeners), "backends", len(t.Backends))
}

// prepare prepares all that a table needs before it is served. The caller holds the turn.
func prepare(ctx context.Context, p *Proxy, t rhumb.Table) {
	p.certs.Manage(ctx, t)
	p.bans.serve(t)
	if !p.ended { // otherwise no new connection of TCP or UDP comes here
		p.clients.prepare(ctx, t)
	}
	needWAF(ctx, p.options.WAF, t)
}

// letGo closes idle connections to endpoints that get no new requests, and UDP sessions to endpoints that are gone.
func (p *Proxy) letGo(old, next *backend.Snapshot, hidden func(rhumb.Endpoint) bool) {
	next.CloseUnused(old)
	for _, l := range p.listeners.udp() {
		keep := next.Endpoints(next.Listeners[l.Bound].Backend, hidden)
		l.udp.keepOnly(func(e *backend.Endpoint) bool { return keep[e] })
	}
}

// dismissLeaving closes the quiet connections of replicas that the served table wants gone, as they become quiet.
func (p *Proxy) dismissLeaving(s *backend.Snapshot) {
	for _, r := range s.Leaving() {
		if r.BeginDismissing() {
			p.conns.work.Go(func() {
				r.Dismiss(p.conns.ctx, func() bool { return !p.served.load().Stays(r.ID) })
			})
		}
	}
}

// serveSaved serves the table on disk as far as its addresses can be bound. An address that can't be bound must not
// keep the others from serving; keepBinding retries it.
func (p *Proxy) serveSaved(ctx context.Context) error {
	t, err := p.saved.Load()
	if err != nil {
		return err
	}
	p.turn.wait()
	defer p.turn.end()
	p.bans.load()
	prepare(ctx, p, t)
	p.listeners.bindMissing(ctx, p.served.swap(t, p.chains.Compile(t, nil)))
	p.log.Info("saved table served", "version", t.Version, "listeners", len(t.Listeners), "backends", len(t.Backends))
	return nil
}
