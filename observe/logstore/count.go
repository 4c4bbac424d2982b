package logstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
	"rhumb/observe"
)

// counts are the counts of a query, by stack and source.
type counts map[string]map[source]*rhumb.LogCount

// of returns the count of a source.
func (c counts) of(stack string, of source) *rhumb.LogCount {
	if c[stack] == nil {
		c[stack] = map[source]*rhumb.LogCount{}
	}
	if c[stack][of] == nil {
		c[stack][of] = &rhumb.LogCount{Stack: stack, Service: of.Service, Release: of.Release}
	}
	return c[stack][of]
}

// LogCounts implements rhumb.Observer.
func (s *Store) LogCounts(ctx context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	f, err := filterOf(q)
	if err != nil {
		return nil, err
	}
	stacks, err := s.existing(q.Stack)
	if err != nil {
		return nil, err
	}
	r := s.read(stacks, s.hub.next(nil))
	defer r.close()
	c := counts{}
	if err := r.fill(ctx, f, spanOf(q).and(r.extent), c); err != nil {
		return nil, err
	}
	for _, k := range stacks {
		k.mu.Lock()
		for of, n := range k.dropped {
			if observe.CountsDropped(q, k.name, of.Service, of.Release) {
				c.of(k.name, of).Dropped = n
			}
		}
		k.mu.Unlock()
	}
	return c.sorted(), nil
}

// sorted returns the counts by stack, service and release.
func (c counts) sorted() []rhumb.LogCount {
	var list []rhumb.LogCount
	for _, of := range c {
		for _, n := range of {
			list = append(list, *n)
		}
	}
	slices.SortFunc(list, func(a, b rhumb.LogCount) int {
		return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Release, b.Release))
	})
	return list
}

// by are the fields that lines are counted by.
const by = fieldStack + ", " + fieldService + ", " + fieldRelease

// bar is a part of a histogram.
type bar struct {
	stack string
	source
	start int64
}

// fill counts the lines of a time. It draws the histogram for that whole time; if the lines that it finds are of a much
// shorter one, it does so again.
func (r *reader) fill(ctx context.Context, f *filter, at span, c counts) error {
	if at.empty() {
		return nil
	}
	_, step, _ := observe.Bars(time.Unix(0, at.from), time.Unix(0, at.to))
	found, bars, err := r.sums(ctx, f, at, step, c)
	if err != nil || found.empty() {
		return err
	}
	start, finer, n := observe.Bars(time.Unix(0, found.from), time.Unix(0, found.to))
	if finer != step {
		if _, bars, err = r.sums(ctx, f, found, finer, counts{}); err != nil {
			return err
		}
	}
	for _, of := range c {
		for _, count := range of {
			count.Start, count.Step, count.Bars = start, finer, make([]int64, n)
		}
	}
	for b, lines := range bars {
		if i := (b.start - start.UnixNano()) / int64(finer); i >= 0 && i < int64(n) {
			c.of(b.stack, b.source).Bars[i] += lines
		}
	}
	return nil
}

// sums counts lines by source and in steps of time. It returns the time from the first line to the last, and the
// number of lines of each step.
func (r *reader) sums(ctx context.Context, f *filter, at span, step time.Duration, c counts,
) (span, map[bar]int64, error) {
	pipes := fmt.Sprintf(` | stats by (%s:%ds, %s) count() lines, sum_len(%s) bytes, count() if (%s) errors, `+
		`min(%s) first, max(%s) last`, timeField, int64(step/time.Second), by, textField,
		oneOf(fieldLevel, levels[rhumb.LevelError:]), timeField, timeField)
	all, bars := span{math.MaxInt64, math.MinInt64}, map[bar]int64{}
	err := r.stats(ctx, f, at, pipes, func(v map[string]string) {
		of, stack := sourceOf(v), strings.Clone(v[fieldStack])
		n, lines := c.of(stack, of), integer(v["lines"])
		bars[bar{stack, of, nanoseconds(moment(v[timeField]))}] += lines
		n.Lines += lines
		n.Bytes += integer(v["bytes"])
		n.Errors += integer(v["errors"])
		first, last := moment(v["first"]), moment(v["last"])
		if n.First.IsZero() || first.Before(n.First) {
			n.First = first
		}
		if last.After(n.Last) {
			n.Last = last
		}
		all = span{min(all.from, nanoseconds(first)), max(all.to, nanoseconds(last))}
	})
	return all, bars, err
}

// stats calls each for each row that a stats pipe returns, with its values by name.
func (r *reader) stats(ctx context.Context, f *filter, at span, pipes string, each func(map[string]string)) error {
	for _, s := range r.sources {
		in := s.extent.and(at)
		if in.empty() {
			continue
		}
		err := f.run(ctx, s.storage, in, r.epoch, pipes, func(db *logstorage.DataBlock) {
			for i := range db.RowsCount() {
				v := map[string]string{}
				for _, c := range db.GetColumns(false) {
					v[c.Name] = c.Values[i]
				}
				each(v)
			}
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sourceOf returns the source of a row of counts. Its strings are copied.
func sourceOf(v map[string]string) source {
	return source{strings.Clone(v[fieldService]), int(integer(v[fieldRelease]))}
}

// integer reads a number of the library's; "" is 0.
func integer(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// moment reads a time of the library's.
func moment(s string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, s)
	return t
}
