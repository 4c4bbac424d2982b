package logstore

import (
	"context"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
)

// A read goes through time in windows, because the library returns lines in no order. A window has at most so much, or
// it is read again as smaller ones.
const (
	maxRows  = 8192
	maxBytes = 16 << 20
)

// reader reads the lines of some stacks that were taken before an epoch.
type reader struct {
	sources []readable
	epoch   uint64
	extent  span // from the first line to the last
}

// readable is an open segment.
type readable struct {
	segment *segment
	storage *logstorage.Storage
	extent  span
}

// read returns a reader. It must be closed.
func (s *Store) read(stacks []*stack, epoch uint64) *reader {
	r := &reader{epoch: epoch, extent: span{math.MaxInt64, math.MinInt64}}
	for _, k := range stacks {
		k.mu.Lock()
		segments := slices.Clone(k.segments)
		k.mu.Unlock()
		for _, g := range segments {
			storage := g.acquire()
			if storage == nil {
				continue
			}
			storage.DebugFlush() // it makes the lines visible
			i := look(storage)
			r.sources = append(r.sources, readable{g, storage, span{i.First, i.Last}})
			r.extent = span{min(r.extent.from, i.First), max(r.extent.to, i.Last)}
		}
	}
	return r
}

// close ends the use of the segments.
func (r *reader) close() {
	for _, s := range r.sources {
		s.segment.release()
	}
}

// page returns all lines of a time that a filter chooses, oldest first. If they are more than a page has, it returns
// false.
func (r *reader) page(ctx context.Context, f *filter, at span) ([]row, bool, error) {
	var (
		rows  []row
		bytes int
		more  bool
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range r.sources {
		in := s.extent.and(at)
		if in.empty() {
			continue
		}
		err := f.run(ctx, s.storage, in, r.epoch, "", func(db *logstorage.DataBlock) {
			decode(db, func(r row) bool {
				if len(rows) >= maxRows || bytes >= maxBytes {
					if more = at.from < at.to; more {
						cancel()
						return false
					}
				}
				rows = append(rows, r)
				bytes += len(r.Text)
				return true
			})
		})
		if more {
			return nil, false, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, false, err
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.compare(&b) })
	return rows, true, nil
}

// walk calls yield with pages of the lines of a time that a filter chooses, until it returns false. The pages are in
// the order of time, or backward; the lines of each are oldest first. It reports whether it came to the end.
func (r *reader) walk(ctx context.Context, f *filter, at span, backward bool, yield func([]row) bool) (bool, error) {
	at = at.and(r.extent)
	step := int64(time.Second)
	if !backward {
		step = math.MaxInt64
	}
	for !at.empty() {
		w := at
		if uint64(at.to-at.from) >= uint64(step) {
			if w.to = at.from + step - 1; backward {
				w = span{at.to - step + 1, at.to}
			}
		}
		rows, ok, err := r.page(ctx, f, w)
		if err != nil {
			return false, err
		}
		if !ok {
			step = max(1, (w.to-w.from+1)/8)
			continue
		}
		if !yield(rows) {
			return false, nil
		}
		if len(rows) < maxRows/4 && step < math.MaxInt64/4 {
			step *= 4
		}
		if w == at {
			break
		}
		if backward {
			at.to = w.from - 1
		} else {
			at.from = w.to + 1
		}
	}
	return true, nil
}

// count returns how many lines of a time a filter chooses.
func (r *reader) count(ctx context.Context, f *filter, at span) (int64, error) {
	var total int64
	for _, s := range r.sources {
		in := s.extent.and(at)
		if in.empty() {
			continue
		}
		err := f.run(ctx, s.storage, in, r.epoch, " | stats count() n", func(db *logstorage.DataBlock) {
			n, _ := strconv.ParseInt(db.GetColumns(false)[0].Values[0], 10, 64) // one row, with a number
			total += n
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}

// last returns a time with at least the last n lines that a filter chooses, and how many lines more; or all lines.
func (r *reader) last(ctx context.Context, f *filter, at span, n int64) (span, int64, error) {
	at = at.and(r.extent)
	var total int64
	for end, step := at.to, int64(time.Second); ; step *= 4 {
		w := span{at.from, end}
		if end > at.from && uint64(end-at.from) >= uint64(step) {
			w.from = end - step + 1
		}
		c, err := r.count(ctx, f, w)
		if err != nil {
			return at, 0, err
		}
		if total += c; total >= n || w.from == at.from {
			return span{w.from, at.to}, max(0, total-n), nil
		}
		if end = w.from - 1; step > math.MaxInt64/4 {
			step /= 4
		}
	}
}

// Lines implements rhumb.Observer. LogQuery.Query is a filter in LogsQL, without pipes. Lines around those that arrive
// later begin with the call.
// Unavailable: with Follow, the lines arrive faster than the caller reads them.
func (s *Store) Lines(ctx context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		if err := s.lines(ctx, q, func(l rhumb.LogLine) bool { return yield(l, nil) }); err != nil {
			yield(rhumb.LogLine{}, err)
		}
	}
}

// lines calls yield for each line that a query chooses, until it returns false.
func (s *Store) lines(ctx context.Context, q rhumb.LogQuery, yield func(rhumb.LogLine) bool) error {
	f, err := filterOf(q)
	if err != nil {
		return err
	}
	stacks, err := s.existing(q.Stack)
	if err != nil {
		return err
	}
	var live *follower
	if q.Follow {
		live = newFollower(q.Stack)
		defer s.hub.leave(live)
	}
	epoch := s.hub.next(live)
	if q.Tail >= 0 {
		end, err := s.old(ctx, stacks, epoch, f, q, yield)
		if err != nil || end {
			return err
		}
	}
	if q.Follow {
		return live.run(ctx, f, q, yield)
	}
	return ctx.Err()
}

// old yields the lines before an epoch. It reports whether yield returned false.
func (s *Store) old(ctx context.Context, stacks []*stack, epoch uint64, f *filter, q rhumb.LogQuery,
	yield func(rhumb.LogLine) bool,
) (bool, error) {
	r := s.read(stacks, epoch)
	defer r.close()
	at, skip := spanOf(q), int64(0)
	if q.Tail > 0 {
		var err error
		if at, skip, err = r.last(ctx, f, at, int64(q.Tail)); err != nil {
			return false, err
		}
	}
	c := &surroundings{r: r, n: q.Around, seen: map[lineID]bool{}}
	all, err := r.walk(ctx, f, at, false, func(rows []row) bool {
		n := min(skip, int64(len(rows)))
		skip -= n
		rows = rows[n:]
		if q.Around > 0 {
			rows = c.add(ctx, rows)
		}
		for i := range rows {
			if !yield(rows[i].LogLine) {
				return false
			}
		}
		return c.err == nil
	})
	if c.err != nil {
		return false, c.err
	}
	return !all, err
}
