package metrics

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"rhumb"
)

// Selection chooses series by their labels, and by the time in which they had samples, to a few hours.
type Selection struct {
	Match        []string  // selectors in PromQL, one of which must match; none: all series
	Since, Until time.Time // zero: no bound
	Limit        int       // of the answer's length; 0: MaxSelected, which is also the highest limit
}

// MaxSelected bounds what LabelNames, LabelValues and SeriesLabels return.
const MaxSelected = 50_000

// LabelNames returns the names of the labels that the chosen series have, sorted. Invalid: a selector can't be read.
// Timeout, Unavailable: as Query.
func (s *Store) LabelNames(ctx context.Context, sel Selection) ([]string, error) {
	return s.union(ctx, sel, func(ctx context.Context, q storage.Querier, ms []*labels.Matcher) ([]string, error) {
		names, _, err := q.LabelNames(ctx, nil, ms...)
		return names, err
	})
}

// LabelValues returns the values of a label of the chosen series, sorted. The errors are those of LabelNames.
func (s *Store) LabelValues(ctx context.Context, name string, sel Selection) ([]string, error) {
	return s.union(ctx, sel, func(ctx context.Context, q storage.Querier, ms []*labels.Matcher) ([]string, error) {
		values, _, err := q.LabelValues(ctx, name, nil, ms...)
		return values, err
	})
}

// SeriesLabels returns the labels of the chosen series, sorted. The errors are those of LabelNames.
func (s *Store) SeriesLabels(ctx context.Context, sel Selection) ([]labels.Labels, error) {
	var all []labels.Labels
	err := s.read(ctx, sel, func(ctx context.Context, q storage.Querier, sets [][]*labels.Matcher) error {
		var chosen []storage.SeriesSet
		hints := &storage.SelectHints{Start: millis(sel.Since, math.MinInt64), End: millis(sel.Until, math.MaxInt64),
			Func: "series"} // no samples are read
		for _, ms := range sets {
			chosen = append(chosen, q.Select(ctx, true, hints, ms...))
		}
		set := storage.NewMergeSeriesSet(chosen, sel.limit(), storage.ChainedSeriesMerge)
		for len(all) < sel.limit() && set.Next() {
			all = append(all, set.At().Labels())
		}
		return set.Err()
	})
	return all, err
}

// union returns what read returns for each set of matchers, without duplicates.
func (s *Store) union(ctx context.Context, sel Selection,
	read func(context.Context, storage.Querier, []*labels.Matcher) ([]string, error),
) ([]string, error) {
	var all []string
	err := s.read(ctx, sel, func(ctx context.Context, q storage.Querier, sets [][]*labels.Matcher) error {
		for _, ms := range sets {
			some, err := read(ctx, q, ms)
			if err != nil {
				return err
			}
			for _, v := range some {
				all = append(all, string([]byte(v))) // the querier's own strings end with it
			}
		}
		return nil
	})
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), sel.limit())], err
}

// read calls f with a querier and the matchers of each selector, when it is the caller's turn.
func (s *Store) read(ctx context.Context, sel Selection,
	f func(context.Context, storage.Querier, [][]*labels.Matcher) error,
) error {
	sets, err := s.parser.ParseMetricSelectors(sel.Match)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "the selector can't be read: %w", err)
	}
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	return s.turns.take(ctx, func(ctx context.Context) error {
		q, err := s.db.Querier(millis(sel.Since, math.MinInt64), millis(sel.Until, math.MaxInt64))
		if err != nil {
			return rhumb.Errorf(rhumb.Internal, "the metrics can't be read: %w", err)
		}
		defer func() { _ = q.Close() }() // it only read
		if err := f(ctx, q, sets); err != nil {
			return explain(ctx, err)
		}
		return nil
	})
}

func (sel Selection) limit() int {
	if sel.Limit <= 0 {
		return MaxSelected
	}
	return min(sel.Limit, MaxSelected)
}

// millis returns a time in the library's unit; zero is none.
func millis(t time.Time, none int64) int64 {
	if t.IsZero() {
		return none
	}
	return t.UnixMilli()
}
