package proxy

import (
	"context"
	"iter"
	"log/slog"
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
	Addrs []netip.Addr // of a replica that is alive; empty: it has none of its own
}

// Lives yields the replicas that are dead, and then each death and start as it happens, until ctx ends or with an
// error.
type Lives func(ctx context.Context) iter.Seq2[Life, error]

// Between two attempts to open the engine's event stream.
const (
	livesSoonest = 100 * time.Millisecond
	livesLatest  = 5 * time.Second
)

// deathWatch stops routing to replicas as they die.
type deathWatch struct {
	lives    Lives
	served   *served
	segments *segmentKeeper
	log      *slog.Logger
}

// run watches until ctx ends. If the engine's stream ends with an error, it opens another one.
func (d *deathWatch) run(ctx context.Context) {
	wait, failing := livesSoonest, false
	for ctx.Err() == nil {
		for l, err := range d.lives(ctx) {
			if err != nil {
				if !failing && ctx.Err() == nil {
					d.log.Warn("engine event stream lost, retrying", "err", err)
				}
				failing = true
				break
			}
			if failing {
				d.log.Info("engine event stream restored")
			}
			wait, failing = livesSoonest, false
			d.note(l)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, livesLatest)
	}
}

// note takes a dead replica's endpoints out at once, or puts those of a restarted replica back. It waits for no
// I/O: the segments follow in a goroutine of their own.
func (d *deathWatch) note(l Life) {
	news, inTable := d.served.note(l)
	switch {
	case !news:
		return
	case inTable && l.Alive:
		d.log.Info("replica restarted", "replica", l.ID)
	case inTable:
		d.log.Info("replica died", "replica", l.ID)
	}
	d.segments.remake() // even if the table doesn't have it: the segments of the next table may be made already
}

// maxDead is how many dead replicas are remembered that never were in a table.
const maxDead = 4096

// dead are the replicas that died and didn't start again. They get nothing new, whatever the table says. The table
// itself stays as the daemon sent it.
type dead struct {
	ids       map[string]bool
	order     []string                // as they died
	restarted map[string][]netip.Addr // replicas that started again, mostly at other addresses than the table's
}

func newDead() *dead { return &dead{ids: map[string]bool{}, restarted: map[string][]netip.Addr{}} }

// note takes a death or a start, and reports whether it is new.
func (d *dead) note(l Life) bool {
	if d.ids[l.ID] == !l.Alive {
		return false
	}
	if l.Alive {
		d.forget(func(id string) bool { return id == l.ID })
		d.restarted[l.ID] = l.Addrs
		return true
	}
	delete(d.restarted, l.ID)
	d.ids[l.ID] = true
	if d.order = append(d.order, l.ID); len(d.order) > maxDead {
		delete(d.ids, d.order[0])
		d.order = slices.Delete(d.order, 0, 1)
	}
	return true
}

// hides reports whether the endpoint's replica is dead, or has started again at another address.
func (d *dead) hides(e rhumb.Endpoint) bool {
	addrs := d.restarted[e.Replica]
	return d.ids[e.Replica] || len(addrs) > 0 && !slices.Contains(addrs, e.Addr.Addr())
}

// forget drops the IDs for which which returns true.
func (d *dead) forget(which func(id string) bool) {
	d.order = slices.DeleteFunc(d.order, func(id string) bool {
		if !which(id) {
			return false
		}
		delete(d.ids, id)
		return true
	})
}

// forgetLeft drops the replicas that were in the old table and aren't in the new one.
func (d *dead) forgetLeft(before, now rhumb.Table) {
	if len(d.ids) == 0 && len(d.restarted) == 0 {
		return
	}
	was, is := replicasOf(before), replicasOf(now)
	d.forget(func(id string) bool { return was[id] && !is[id] })
	maps.DeleteFunc(d.restarted, func(id string, _ []netip.Addr) bool { return !is[id] })
}

// replicasOf returns the IDs of all replicas in a table.
func replicasOf(t rhumb.Table) map[string]bool {
	ids := map[string]bool{}
	add := func(es []rhumb.Endpoint) {
		for _, e := range es {
			ids[e.Replica] = true
		}
	}
	for _, b := range t.Backends {
		add(b.Endpoints)
	}
	for _, s := range t.Segments {
		for _, a := range s.Services {
			add(a.Endpoints)
		}
	}
	return ids
}
