package rate

import (
	"time"

	"rhumb"
	"rhumb/proxy/internal/crowd"
	"rhumb/proxy/internal/limits"
)

// places is how many buckets all limits have together: 64 MB.
const places = 1 << 22

// Book has the limits of a table's backends. It is immutable but for what it points to.
type Book struct {
	epoch  time.Time
	budget *limits.Budget
	sets   map[string]*Set // by backend; those without limits have none
}

// NewBook returns the book of a table without limits.
func NewBook() *Book { return &Book{epoch: time.Now(), budget: limits.NewBudget(places)} }

// Of returns the limits of a backend; nil: it has none.
func (b *Book) Of(backend string) *Set { return b.sets[backend] }

// Stats returns what limits have done, by backend.
func (b *Book) Stats(now time.Time) map[string]*rhumb.LimitStats {
	stats := make(map[string]*rhumb.LimitStats, len(b.sets))
	for name, s := range b.sets {
		stats[name] = s.stats(now)
	}
	return stats
}

// Next returns the book of a table with these backends. Limits that stay go on with what they have counted. b isn't
// used for new requests from then on.
func (b *Book) Next(backends []rhumb.Backend) *Book {
	n := &Book{epoch: b.epoch, budget: b.budget}
	kept := map[*Table]bool{}
	for i := range backends {
		if len(backends[i].Limits) == 0 {
			continue
		}
		if n.sets == nil {
			n.sets = map[string]*Set{}
		}
		s := b.next(&backends[i])
		n.sets[backends[i].Name] = s
		for _, l := range s.limits {
			kept[l.table] = true
		}
	}
	for _, s := range b.sets {
		for _, l := range s.limits {
			if l.table != nil && !kept[l.table] {
				l.table.Drop()
			}
		}
	}
	return n
}

// next returns the limits of a backend, with what is known of them already.
func (b *Book) next(of *rhumb.Backend) *Set {
	s := &Set{epoch: b.epoch}
	old := b.sets[of.Name]
	var left []*limit
	if old != nil {
		if sameLimits(old.limits, of.Limits) {
			return old
		}
		s.counts, s.crowd, left = old.counts, old.crowd, append(left, old.limits...)
	} else {
		s.counts, s.crowd = &tally{}, &crowd.Watch{}
	}
	for i, spec := range of.Limits {
		s.limits = append(s.limits, take(left, spec, i, b.budget))
		s.byPath = s.byPath || len(spec.Paths) > 0
		s.clients = s.clients || spec.By != rhumb.ByRoute
	}
	return s
}

func sameLimits(ls []*limit, specs []rhumb.Limit) bool {
	if len(ls) != len(specs) {
		return false
	}
	for i, l := range ls {
		if !rhumb.SameLimits([]rhumb.Limit{l.spec}, specs[i:i+1]) {
			return false
		}
	}
	return true
}

// take returns the limit of a spec: one of those that are left and count the same, of which it takes one out, or a new
// one.
func take(left []*limit, spec rhumb.Limit, n int, b *limits.Budget) *limit {
	want := []rhumb.Limit{counts(spec)}
	for i, l := range left {
		if l != nil && rhumb.SameLimits([]rhumb.Limit{counts(l.spec)}, want) {
			left[i] = nil
			return l.with(spec, n)
		}
	}
	return newLimit(spec, n, b)
}
