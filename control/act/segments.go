package act

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/control/scene"
)

// Segments brings the service addresses in the routing table in line with the engine's networks, the releases and the
// replicas, and removes endpoints of replicas that are gone. It reports whether it has changed the table: then the
// scene is out of date.
func (p *Performer) Segments(ctx context.Context, s *scene.Scene, now time.Time) (changed bool, err error) {
	var want []rhumb.Segment
	replicas := s.Observed.Replicas
	if s.Router.NoSegments == "" {
		if want, err = p.book.Segments(ctx, s.Held.Bridges, s.Wanted.Model, s.Wanted.Previous, replicas); err != nil {
			return false, err
		}
	}
	edit := func(t *rhumb.Table) { routing.RebuildSegments(t, p.stack, want, replicas, s.Arriving(now)) }
	if !routing.Changes(s.Router.Table, edit) {
		return false, nil
	}
	return true, p.Desk.Edit(ctx, edit)
}
