package proxy

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"rhumb"
)

// Segments makes the service addresses inside stacks.
type Segments interface {
	// Apply makes these segments, removes all others, and returns the errors by network ID. It is idempotent and
	// repairs what it finds.
	Apply(ctx context.Context, ss []rhumb.Segment) map[string]error
	// Open counts the connections of draining endpoints, and those of them over which something has moved of late, by
	// replica ID.
	Open(ctx context.Context) (open, busy map[string]int)
	// Supported returns why this machine can't have segments, or nil if it can.
	Supported() error
	// Run repairs the segments of the last Apply until ctx ends, and leaves them as they are then.
	Run(ctx context.Context) error
}

// noSegments refuses all segments.
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

// segmentKeeper keeps the segments as the served table says, without the endpoints of dead replicas.
type segmentKeeper struct {
	Segments
	served  *served
	log     *slog.Logger
	disown  func()        // set by own
	changed chan struct{} // a replica died or restarted

	making turn            // one Segments.Apply at a time; guards what is below
	wanted []rhumb.Segment // those of the last apply
	owned  bool            // there was one
}

func newSegmentKeeper(s Segments, served *served, log *slog.Logger) *segmentKeeper {
	return &segmentKeeper{Segments: s, served: served, log: log, disown: func() {}, changed: make(chan struct{}, 1),
		making: make(turn, 1)}
}

// own makes the segments of t and keeps them so until disown. Without a table it waits for one: segments that exist
// aren't removed only because the table was lost.
func (k *segmentKeeper) own(ctx context.Context, t rhumb.Table) {
	ctx, cancel := context.WithCancel(ctx)
	if err := k.Supported(); err != nil {
		k.log.Warn("no service addresses inside stacks", "err", err)
	}
	if t.Version > 0 {
		k.apply(ctx, t.Segments) // it logs what can't be made, and Run retries
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := k.Run(ctx); err != nil {
			k.log.Error("service addresses no longer repaired", "err", err)
		}
	})
	running.Go(func() { k.follow(ctx) })
	k.disown = func() {
		cancel()
		running.Wait()
	}
}

// apply makes these segments without dead endpoints, and returns the errors by network ID.
func (k *segmentKeeper) apply(ctx context.Context, ss []rhumb.Segment) map[string]error {
	k.making.wait()
	defer k.making.end()
	k.wanted, k.owned = ss, true
	return k.Apply(ctx, k.served.living(ss))
}

// remake has the segments made again because a replica died or restarted. It doesn't wait for that.
func (k *segmentKeeper) remake() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// follow makes the segments again as replicas die and restart, until ctx ends.
func (k *segmentKeeper) follow(ctx context.Context) {
	for {
		select {
		case <-k.changed:
		case <-ctx.Done():
			return
		}
		k.making.wait()
		if k.owned && ctx.Err() == nil {
			k.Apply(ctx, k.served.living(k.wanted))
		}
		k.making.end()
	}
}

// serve makes the segments of a new table. Segments that it leaves out stay until drop: their connections would be lost
// for nothing if the table were refused. If a changed segment can't be made, serve returns its error, and all segments
// are as they were.
func (k *segmentKeeper) serve(ctx context.Context, before, now []rhumb.Segment) error {
	old := make(map[string]rhumb.Segment, len(before))
	for _, s := range before {
		old[s.ID] = s
	}
	errs := k.apply(ctx, append(slices.Clone(now), without(before, now)...))
	for _, s := range now {
		if err := errs[s.ID]; err != nil && !s.Equal(old[s.ID]) {
			k.apply(context.WithoutCancel(ctx), before)
			return rhumb.Errorf(rhumb.Unavailable, "%w", err)
		}
	}
	return nil
}

// drop removes the segments that the new table leaves out.
func (k *segmentKeeper) drop(ctx context.Context, before, now []rhumb.Segment) {
	if len(without(before, now)) > 0 {
		k.apply(ctx, now)
	}
}

// without returns the segments of before that aren't in now.
func without(before, now []rhumb.Segment) []rhumb.Segment {
	return slices.DeleteFunc(slices.Clone(before), func(s rhumb.Segment) bool {
		return slices.ContainsFunc(now, func(n rhumb.Segment) bool { return n.ID == s.ID })
	})
}
