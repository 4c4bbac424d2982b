package scene

import (
	"context"
	"time"

	"rhumb"
	"rhumb/control/directory"
	"rhumb/control/routing"
)

// Inside is what is known of how the services of one stack find each other.
type Inside struct {
	Book  *directory.Book      // the addresses of services
	Names *directory.Announced // the names in the replicas' hosts files
}

// Propose returns the segments that the stack must have, by the engine's networks, the two releases and the replicas,
// and the edit that brings the routing table in line with them. The edit also removes the endpoints of replicas that
// are gone. Propose changes nothing.
func (in Inside) Propose(
	ctx context.Context, s *Scene, now time.Time,
) (want directory.Proposal, edit func(*rhumb.Table), err error) {
	w, replicas := &s.Wanted, s.Observed.Replicas
	if s.Router.NoSegments == "" {
		v := directory.View{Bridges: s.Held.Bridges, Wanted: w.Model, Previous: w.Previous, Specs: w.Specs,
			Replicas: replicas}
		if want, err = in.Book.Propose(ctx, v); err != nil {
			return want, nil, err
		}
	}
	arriving := s.Arriving(now)
	return want, func(t *rhumb.Table) {
		routing.RebuildSegments(t, s.Stack(), want.Segments, replicas, arriving)
	}, nil
}

// Stale reports whether the service addresses in the table, or those in the book, aren't as they must be. They count as
// stale if the book can't be read: the step that brings them up to date then fails, and its error says why.
func (in Inside) Stale(ctx context.Context, s *Scene, now time.Time) bool {
	want, edit, err := in.Propose(ctx, s, now)
	return err != nil || !want.Kept() || routing.Changes(s.Router.Table, edit)
}

// Hosts returns the names that the hosts files of running replicas must have, by replica ID. It leaves out the replicas
// for which starting is true, because they get their names with their start, and those that share another's network,
// because they have no hosts file of their own.
func (in Inside) Hosts(s *Scene, starting func(rhumb.Replica) bool) map[string]map[string]string {
	d := s.Directory(s.Router.Table)
	want := map[string]map[string]string{}
	for _, rep := range s.Observed.Replicas {
		if svc, _ := s.Definition(rep); svc != nil && rep.Alive() && rep.Joined == "" && !starting(rep) {
			want[rep.ID] = d.Names(&svc.Container)
		}
	}
	return want
}
