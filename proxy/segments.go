package proxy

import (
	"context"
	"maps"
	"slices"
	"sync"

	"rhumb"
)

// Segments makes the service addresses inside stacks true.
type Segments interface {
	// Apply makes these segments true, removes those that aren't among them, and gives the errors by network ID. It is idempotent and
	// repairs what it finds.
	Apply(ctx context.Context, ss []rhumb.Segment) map[string]error
	// Open counts the connections of draining endpoints, and those of them over which something has moved of late, by
	// replica ID.
	Open(ctx context.Context) (open, busy map[string]int)
	// Supported tells why segments can't be had on this machine; nil: they can.
	Supported() error
	// Run repairs the segments of the last Apply until ctx ends, and leaves them as they are then.
	Run(ctx context.Context) error
}

// noSegments is for a proxy that was given none.
type noSegments struct{}

func (noSegments) Apply(_ context.Context, ss []rhumb.Segment) map[string]error {
	errs := map[string]error{}
	for _, s := range ss {
		errs[s.ID] = rhumb.Errorf(rhumb.Unavailable, "network %s: this proxy makes no service addresses", s.Network)
	}
	return errs
}
func (noSegments) Open(context.Context) (open, busy map[string]int) { return nil, nil }
func (noSegments) Supported() error {
	return rhumb.Errorf(rhumb.Unavailable, "this proxy makes no service addresses")
}
func (noSegments) Run(context.Context) error { return nil }

// ownSegments makes the served table's segments true and keeps them so, until disown. Without a table it waits for one: what is there
// isn't removed only because the table was lost.
func (p *Proxy) ownSegments(ctx context.Context) (disown func()) {
	ctx, cancel := context.WithCancel(ctx)
	if err := p.segments.Supported(); err != nil {
		p.log.Warn("no service addresses inside stacks", "reason", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.served.Load().table; t.Version > 0 && !p.ended {
		p.segments.Apply(ctx, living(t.Segments, p.dead.hides)) // it logs what can't be made, and Run goes on trying
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.segments.Run(ctx); err != nil {
			p.log.Error("service addresses aren't looked after", "error", err)
		}
	})
	p.disown = func() {
		cancel()
		running.Wait()
	}
	return p.disown
}

// serveSegments makes the segments of t true. Those of the served table that t leaves out stay until dropSegments, so that connections through
// them aren't lost if t can't be served. The first changed one that can't be made is the error, and then all is as it was. The caller holds mu.
func (p *Proxy) serveSegments(ctx context.Context, t rhumb.Table) error {
	served := p.served.Load().table.Segments
	old := make(map[string]rhumb.Segment, len(served))
	for _, s := range served {
		old[s.ID] = s
	}
	leaving := maps.Clone(old)
	for _, s := range t.Segments {
		delete(leaving, s.ID)
	}
	errs := p.segments.Apply(ctx, living(slices.AppendSeq(slices.Clone(t.Segments), maps.Values(leaving)), p.dead.hides))
	for _, s := range t.Segments {
		if err := errs[s.ID]; err != nil && !s.Equal(old[s.ID]) {
			p.restoreSegments(ctx)
			return rhumb.Errorf(rhumb.Unavailable, "%w", err)
		}
	}
	return nil
}

// restoreSegments goes back to the served table's.
func (p *Proxy) restoreSegments(ctx context.Context) {
	p.segments.Apply(context.WithoutCancel(ctx), living(p.served.Load().table.Segments, p.dead.hides)) // it logs what it can't do
}

// dropSegments removes what serveSegments left of the table before t.
func (p *Proxy) dropSegments(ctx context.Context, before, t rhumb.Table) {
	for _, s := range before.Segments {
		if !slices.ContainsFunc(t.Segments, func(o rhumb.Segment) bool { return o.ID == s.ID }) {
			p.segments.Apply(context.WithoutCancel(ctx), living(t.Segments, p.dead.hides))
			return
		}
	}
}

// living gives the segments without the endpoints at which nobody answers.
func living(ss []rhumb.Segment, hidden func(rhumb.Endpoint) bool) []rhumb.Segment {
	ss = rhumb.Table{Segments: ss}.Clone().Segments
	for _, s := range ss {
		for i := range s.Services {
			es := &s.Services[i].Endpoints
			*es = slices.DeleteFunc(*es, hidden)
		}
	}
	return ss
}
