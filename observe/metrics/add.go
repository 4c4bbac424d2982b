package metrics

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"rhumb"
	"rhumb/observe"
)

var _ observe.SampleSink = (*Store)(nil)

// Add implements observe.SampleSink. Samples that were added survive the death of this process.
// Unavailable: the disk is full or fails. Invalid: samples are older than what their series have, have labels that
// can't be, or belong to new series beyond Options.Series.
func (s *Store) Add(ctx context.Context, at time.Time, samples []observe.Sample) error {
	if len(samples) == 0 {
		return ctx.Err()
	}
	if err := full(s.opts.Dir); err != nil {
		s.dropped.Add(int64(len(samples)))
		return err
	}
	var first error
	refused := 0
	err := guarded(func() error {
		app := s.db.Appender(ctx)
		now := time.Now()
		for i := range samples {
			r := s.refs.find(samples[i].Series, now)
			id, err := app.Append(r.id(), r.labels, at.UnixMilli(), samples[i].Value)
			if err != nil {
				refused++
				if first == nil {
					first = refusal(samples[i].Series, err)
				}
				continue
			}
			r.ref.Store(uint64(id))
		}
		return app.Commit()
	})
	if err != nil {
		s.dropped.Add(int64(len(samples)))
		return rhumb.Errorf(rhumb.Unavailable, "metrics can't be written: %w", err)
	}
	s.dropped.Add(int64(refused))
	return first
}

// refusal returns why a sample was not taken.
func refusal(of *observe.Series, err error) error {
	switch {
	case errors.Is(err, errTooMany):
		return rhumb.Errorf(rhumb.Invalid, "there are too many series: %s is one too many: %w", of.Name, err).
			WithHint("let an application have fewer, with fewer values of their labels")
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrOutOfBounds),
		errors.Is(err, storage.ErrTooOldSample), errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return rhumb.Errorf(rhumb.Invalid, "%s has later samples already: %w", of.Name, err)
	}
	return rhumb.Errorf(rhumb.Invalid, "%s can't have this sample: %w", of.Name, err)
}

// End implements observe.SampleSink. Series that have had no sample for a while have ended already.
func (s *Store) End(ctx context.Context, at time.Time, series []*observe.Series) error {
	if err := full(s.opts.Dir); err != nil {
		return err
	}
	err := guarded(func() error {
		app := s.db.Appender(ctx)
		marker := math.Float64frombits(value.StaleNaN)
		for _, of := range series {
			r := s.refs.take(of)
			if r == nil {
				continue
			}
			_, err := app.Append(r.id(), r.labels, at.UnixMilli(), marker)
			if errors.Is(err, storage.ErrDuplicateSampleForTimestamp) {
				// It had a sample at this very time. Its last one must be the marker.
				_, err = app.Append(r.id(), r.labels, at.UnixMilli()+1, marker)
			}
			_ = err // later samples make the marker superfluous
		}
		return app.Commit()
	})
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "metrics can't be written: %w", err)
	}
	return nil
}

// Dropped returns how many samples could not be kept since the store was opened.
func (s *Store) Dropped() int64 { return s.dropped.Load() }

// ref is what the library knows a series by.
type ref struct {
	labels labels.Labels
	ref    atomic.Uint64
	used   atomic.Int64 // in nanoseconds of Unix time
}

func (r *ref) id() storage.SeriesRef { return storage.SeriesRef(r.ref.Load()) }

type seriesKey = *observe.Series

// refs are the series that had samples of late.
type refs struct {
	mu sync.Mutex
	of map[seriesKey]*ref
}

const (
	maxRefs  = DefaultSeries // a caller that makes a Series for each sample fills them
	keepRefs = 10 * time.Minute
)

// find returns the series, which it makes.
func (c *refs) find(of *observe.Series, now time.Time) *ref {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.of[of]
	if r == nil {
		if len(c.of) >= maxRefs {
			clear(c.of)
		}
		ls := make([]labels.Label, 0, len(of.Labels)+1)
		ls = append(ls, labels.Label{Name: model.MetricNameLabel, Value: of.Name})
		for _, l := range of.Labels {
			ls = append(ls, labels.Label{Name: l.Name, Value: l.Value})
		}
		r = &ref{labels: labels.New(ls...)}
		c.of[of] = r
	}
	r.used.Store(now.UnixNano())
	return r
}

// take returns a series and forgets it; nil: it isn't known.
func (c *refs) take(of *observe.Series) *ref {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.of[of]
	delete(c.of, of)
	return r
}

// sweep forgets the series that have had no sample for a while.
func (c *refs) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for of, r := range c.of {
		if now.Sub(time.Unix(0, r.used.Load())) > keepRefs {
			delete(c.of, of)
		}
	}
}

var errTooMany = errors.New("the limit of series is reached")

// seriesCount bounds the series in memory. A quarter of the limit is for rhumb's own. It implements the library's
// SeriesLifecycleCallback.
type seriesCount struct {
	limit  int64
	n      atomic.Int64
	closed atomic.Bool // to series beyond the limit; while the store opens, all may enter that were there
}

// PreCreation refuses a series beyond the limit.
func (c *seriesCount) PreCreation(ls labels.Labels) error {
	limit := c.limit
	if !strings.HasPrefix(ls.Get(model.MetricNameLabel), "rhumb_") {
		limit -= limit / 4
	}
	if c.closed.Load() && c.n.Load() >= limit {
		return errTooMany
	}
	return nil
}

// PostCreation counts a series.
func (c *seriesCount) PostCreation(labels.Labels) { c.n.Add(1) }

// PostDeletion counts series that are gone from memory.
func (c *seriesCount) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	c.n.Add(-int64(len(gone)))
}
