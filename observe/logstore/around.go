package logstore

import (
	"context"
	"math"
	"slices"

	"rhumb"
)

// surroundings adds the lines around hits, page by page.
type surroundings struct {
	r    *reader
	n    int             // so many before each hit, and after it
	seen map[lineID]bool // the lines of this page and the one before
	err  error           // the search for lines failed
}

// lineID identifies a stored line.
type lineID struct {
	ns                                 int64
	tie                                uint64
	stack, service, replica, container string
}

// id returns the identity of a row.
func (r *row) id() lineID {
	return lineID{r.Time.UnixNano(), r.tie, r.Stack, r.Service, r.Replica, r.Container}
}

// add returns the hits of a page that haven't come yet, with the lines around them, oldest first. A line comes once,
// unless many hits are between it and the next hit that it is near.
func (c *surroundings) add(ctx context.Context, hits []row) []row {
	var rows []row
	page := map[lineID]bool{}
	add := func(r row) {
		id := r.id()
		if !page[id] && !c.seen[id] {
			rows = append(rows, r)
		}
		page[id] = true
	}
	for i := range hits {
		add(hits[i])
		for _, backward := range []bool{true, false} {
			near, err := c.near(ctx, &hits[i], backward)
			if err != nil {
				c.err = err
				return nil
			}
			for _, r := range near {
				add(r)
			}
		}
	}
	if len(page) > 0 {
		c.seen = page
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.compare(&b) })
	return rows
}

// near returns the lines of a hit's writer before it, or after it.
func (c *surroundings) near(ctx context.Context, hit *row, backward bool) ([]row, error) {
	at := span{hit.Time.UnixNano(), math.MaxInt64}
	if backward {
		at = span{math.MinInt64, hit.Time.UnixNano()}
	}
	var near []row
	_, err := c.r.walk(ctx, writer(&hit.LogLine), at, backward, func(rows []row) bool {
		rows = slices.DeleteFunc(rows, func(r row) bool {
			return r.Stack != hit.Stack || backward && r.compare(hit) >= 0 || !backward && r.compare(hit) <= 0
		})
		if backward {
			near = append(rows[max(0, len(rows)-c.n+len(near)):], near...)
		} else {
			near = append(near, rows[:min(len(rows), c.n-len(near))]...)
		}
		return len(near) < c.n
	})
	return near, err
}

// recent finds the lines around hits among lines that arrive one by one.
type recent struct {
	n       int
	before  map[writerID][]rhumb.LogLine // the last n lines of each writer that didn't come
	pending map[writerID]int             // so many more lines come
}

// writerID identifies what writes lines: see observe.SameWriter.
type writerID struct{ stack, service, replica, container string }

// add returns the lines that come when one arrives.
func (r *recent) add(l rhumb.LogLine, hit bool) []rhumb.LogLine {
	if r.n == 0 {
		if hit {
			return []rhumb.LogLine{l}
		}
		return nil
	}
	w := writerID{l.Stack, l.Service, l.Replica, l.Container}
	switch {
	case hit:
		lines := append(r.before[w], l)
		delete(r.before, w)
		r.pending[w] = r.n
		return lines
	case r.pending[w] > 0:
		r.pending[w]--
		return []rhumb.LogLine{l}
	}
	before := append(r.before[w], l)
	r.before[w] = before[max(0, len(before)-r.n):]
	return nil
}
