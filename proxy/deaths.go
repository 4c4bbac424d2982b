package proxy

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

// Life is a replica's death, or its start.
type Life struct {
	ID    string // the replica's
	Alive bool
	Addrs []netip.Addr // of one that is alive; empty: it has none of its own
}

// Lives tells which replicas are dead, and then each death and start as it happens, until ctx ends or with an error.
type Lives func(ctx context.Context) iter.Seq2[Life, error]

// maxDead is how many dead replicas that never were in a table are remembered.
const maxDead = 4096

// dead are the replicas that died and didn't start again. They get nothing new, whatever the table says, which stays as the daemon sent it.
type dead struct {
	ids   map[string]bool
	order []string                // as they died
	risen map[string][]netip.Addr // who started again, mostly at other addresses than the table's
}

// note takes a death or a start, and tells whether it is news.
func (d *dead) note(l Life) bool {
	if d.ids[l.ID] == !l.Alive {
		return false
	}
	if l.Alive {
		d.forget(func(id string) bool { return id == l.ID })
		d.risen[l.ID] = l.Addrs
		return true
	}
	delete(d.risen, l.ID)
	d.ids[l.ID] = true
	if d.order = append(d.order, l.ID); len(d.order) > maxDead {
		delete(d.ids, d.order[0])
		d.order = slices.Delete(d.order, 0, 1)
	}
	return true
}

// hides tells whether nobody answers at the endpoint, as far as is known.
func (d *dead) hides(e rhumb.Endpoint) bool {
	addrs := d.risen[e.Replica]
	return d.ids[e.Replica] || len(addrs) > 0 && !slices.Contains(addrs, e.Addr.Addr())
}

// forget forgets those of whom it is true.
func (d *dead) forget(which func(id string) bool) {
	d.order = slices.DeleteFunc(d.order, func(id string) bool {
		if !which(id) {
			return false
		}
		delete(d.ids, id)
		return true
	})
}

// leave forgets those that were in the old table and aren't in the new one.
func (d *dead) leave(before, now rhumb.Table) {
	if len(d.ids) == 0 && len(d.risen) == 0 {
		return
	}
	was, is := replicasOf(before), replicasOf(now)
	d.forget(func(id string) bool { return was[id] && !is[id] })
	maps.DeleteFunc(d.risen, func(id string, _ []netip.Addr) bool { return !is[id] })
}

func replicasOf(t rhumb.Table) map[string]bool {
	ids := map[string]bool{}
	note := func(es []rhumb.Endpoint) {
		for _, e := range es {
			ids[e.Replica] = true
		}
	}
	for _, b := range t.Backends {
		note(b.Endpoints)
	}
	for _, s := range t.Segments {
		for _, a := range s.Services {
			note(a.Endpoints)
		}
	}
	return ids
}

// Between two attempts to hear of deaths.
const (
	livesSoonest = 100 * time.Millisecond
	livesLatest  = 5 * time.Second
)

// watchLives takes replicas out as they die, until ctx ends. Without an engine it goes on trying.
func (p *Proxy) watchLives(ctx context.Context) {
	wait, quiet := livesSoonest, false
	for ctx.Err() == nil {
		for l, err := range p.options.Lives(ctx) {
			if err != nil {
				if !quiet && !errors.Is(err, context.Canceled) {
					p.log.Warn("deaths of replicas aren't told, trying again", "error", err)
				}
				quiet = true
				break
			}
			if quiet {
				p.log.Info("deaths of replicas are told again")
			}
			wait, quiet = livesSoonest, false
			p.bury(ctx, l)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, livesLatest)
	}
}

// bury takes a dead replica's endpoints out, or puts those of one that started again back.
func (p *Proxy) bury(ctx context.Context, l Life) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead.note(l) {
		return
	}
	old := p.served.Load()
	if !replicasOf(old.table)[l.ID] {
		return
	}
	p.log.Info("replica died or started again", "replica", l.ID, "alive", l.Alive)
	next := old.next(old.table, p.dead.hides)
	p.served.Store(next)
	close(old.replaced)
	p.letGo(old, next)
	if !p.ended { // then the segments are another's
		p.segments.Apply(ctx, living(old.table.Segments, p.dead.hides))
	}
}
