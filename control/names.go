package control

import (
	"context"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/directory"
)

// directory gives the names that hold now.
func (g *goal) directory(t rhumb.Table) directory.Directory {
	return directory.Of(t, g.wanted.Stack, g.wanted.Model, g.wanted.Previous)
}

// names gives the names for a container that is about to start.
func (r *runner) names(ctx context.Context, g *goal, k *rhumb.Container) (map[string]string, error) {
	st, err := r.c.desk.Status(ctx)
	if err != nil {
		return nil, err
	}
	return g.directory(st.Table).Names(k), nil
}

// tellNames gives the replicas that run the names that hold now, beside the turn. A replica whose start is still under way
// has them already, but that is not noted yet; the look may also have been before it was there.
func (r *runner) tellNames(ctx context.Context, work *sync.WaitGroup, g *goal, t rhumb.Table, now time.Time) {
	d := g.directory(t)
	want := map[string]map[string]string{}
	for _, rep := range g.replicas {
		if s, _ := g.definition(rep); s != nil && rep.Alive() && rep.Joined == "" && !r.starts(rep) {
			want[rep.ID] = d.Names(&s.Container)
		}
	}
	if !r.making() {
		r.naming.Keep(want)
	}
	stale := r.naming.Stale(want, now)
	if len(stale) == 0 {
		return
	}
	work.Go(func() {
		failed := false
		for _, id := range stale {
			err := r.c.Engine.SetHosts(ctx, id, want[id])
			switch {
			case err == nil || rhumb.ErrorCode(err) == rhumb.NotFound:
				r.naming.Record(id, want[id])
			case ctx.Err() == nil:
				failed = true
				r.log.Warn("names not told", "replica", id, "err", err)
			}
		}
		r.naming.Done(failed)
		r.Nudge()
	})
}

// starts reports whether the start of a replica is under way.
func (r *runner) starts(rep rhumb.Replica) bool {
	for s := range r.flying {
		if s.Kind == rhumb.StepStart && s.Service == rep.Service && s.Slot == rep.Slot && s.Release == rep.Release {
			return true
		}
	}
	return false
}
