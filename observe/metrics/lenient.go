package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// lenient reads a block as far as it can be read. Where the library fails, because a chunk is damaged or the disk
// fails, a series ends there, and goes on in the next block.
type lenient struct {
	storage.Querier
	report func(error)
}

// lenientQuerier implements the library's BlockQuerierFunc.
func (s *Store) lenientQuerier(b tsdb.BlockReader, mint, maxt int64) (storage.Querier, error) {
	report := func(err error) { s.reportDamage(b.Meta().ULID.String(), err) }
	l := lenient{storage.NoopQuerier(), report}
	err := guarded(func() error {
		q, err := tsdb.NewBlockQuerier(b, mint, maxt)
		if err == nil {
			l.Querier = q
		}
		return err
	})
	if err != nil {
		report(err)
	}
	return l, nil
}

// reportEvery is how often damage is logged: each query may find it.
const reportEvery = 10 * time.Minute

// reportDamage logs what can't be read.
func (s *Store) reportDamage(block string, err error) {
	now, last := time.Now().UnixNano(), s.reported.Load()
	if now-last < int64(reportEvery) && last != 0 || !s.reported.CompareAndSwap(last, now) {
		return
	}
	s.opts.Log.Error("metrics not readable, answering without them", "block", block, "err", err)
}

// Select implements storage.Querier.
func (l lenient) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher,
) storage.SeriesSet {
	set := storage.EmptySeriesSet()
	l.try(ctx, func() error {
		set = l.Querier.Select(ctx, sorted, hints, ms...)
		return nil
	})
	return &lenientSet{SeriesSet: set, ctx: ctx, l: l}
}

// LabelValues implements storage.Querier.
func (l lenient) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher,
) (values []string, ws annotations.Annotations, err error) {
	l.try(ctx, func() (err error) {
		values, ws, err = l.Querier.LabelValues(ctx, name, hints, ms...)
		return err
	})
	return values, ws, ctx.Err()
}

// LabelNames implements storage.Querier.
func (l lenient) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher,
) (names []string, ws annotations.Annotations, err error) {
	l.try(ctx, func() (err error) {
		names, ws, err = l.Querier.LabelNames(ctx, hints, ms...)
		return err
	})
	return names, ws, ctx.Err()
}

// try calls f and reports damage that it finds. It returns whether there was none.
func (l lenient) try(ctx context.Context, f func() error) bool {
	err := guarded(f)
	if err == nil {
		return true
	}
	if ctx.Err() == nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		l.report(err)
	}
	return false
}

// lenientSet is what a block has, as far as it can be read.
type lenientSet struct {
	storage.SeriesSet
	ctx   context.Context
	l     lenient
	ended bool
}

// Next implements storage.SeriesSet.
func (s *lenientSet) Next() bool {
	if s.ended {
		return false
	}
	more := false
	s.l.try(s.ctx, func() error {
		if more = s.SeriesSet.Next(); !more {
			return s.SeriesSet.Err()
		}
		return nil
	})
	s.ended = !more
	return more
}

// At implements storage.SeriesSet.
func (s *lenientSet) At() storage.Series { return lenientSeries{s.SeriesSet.At(), s.ctx, s.l} }

// Err implements storage.SeriesSet.
func (s *lenientSet) Err() error { return s.ctx.Err() }

type lenientSeries struct {
	storage.Series
	ctx context.Context
	l   lenient
}

// Iterator implements storage.Series.
func (s lenientSeries) Iterator(old chunkenc.Iterator) chunkenc.Iterator {
	it, ok := old.(*lenientIterator)
	if !ok {
		it = &lenientIterator{}
	}
	it.Iterator = s.Series.Iterator(it.Iterator)
	it.ctx, it.l, it.ended = s.ctx, s.l, false
	return it
}

// unixMilli is a time as the library counts. It has a name because vet expects io.Seeker behind Seek(int64).
type unixMilli = int64

// lenientIterator ends where its samples can't be read.
type lenientIterator struct {
	chunkenc.Iterator
	ctx   context.Context
	l     lenient
	ended bool
}

// Next implements chunkenc.Iterator.
func (i *lenientIterator) Next() (v chunkenc.ValueType) {
	if i.ended {
		return chunkenc.ValNone
	}
	defer i.recover(&v)
	return i.end(i.Iterator.Next())
}

// Seek implements chunkenc.Iterator.
func (i *lenientIterator) Seek(t unixMilli) (v chunkenc.ValueType) {
	if i.ended {
		return chunkenc.ValNone
	}
	defer i.recover(&v)
	return i.end(i.Iterator.Seek(t))
}

// recover ends the series where reading it panics. It works only where the goroutine takes a fault for a panic.
func (i *lenientIterator) recover(v *chunkenc.ValueType) {
	if p := recover(); p != nil {
		*v, i.ended = chunkenc.ValNone, true
		i.l.report(panickedWith(p))
	}
}

// end reports the error at which the series ends, if it does.
func (i *lenientIterator) end(v chunkenc.ValueType) chunkenc.ValueType {
	if v == chunkenc.ValNone {
		i.ended = true
		i.l.try(i.ctx, i.Iterator.Err)
	}
	return v
}

// Err implements chunkenc.Iterator.
func (i *lenientIterator) Err() error { return i.ctx.Err() }
