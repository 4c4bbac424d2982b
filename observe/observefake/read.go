package observefake

import (
	"cmp"
	"context"
	"iter"
	"regexp"
	"slices"
	"strings"

	"rhumb"
	"rhumb/observe"
)

// Lines implements rhumb.Observer. With Follow, the lines that arrive have no lines around them.
func (s *Store) Lines(ctx context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		match, err := s.match(q)
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		seen, changed := s.look()
		for _, l := range chosen(seen, q, match) {
			if !yield(l, nil) {
				return
			}
		}
		for n := len(seen); q.Follow; n = len(seen) {
			select {
			case <-ctx.Done():
				yield(rhumb.LogLine{}, ctx.Err())
				return
			case <-changed:
			}
			seen, changed = s.look()
			for _, l := range seen[n:] {
				if match(&l) && !yield(l, nil) {
					return
				}
			}
		}
	}
}

// look returns all lines, and the channel that is closed when more arrive.
func (s *Store) look() ([]rhumb.LogLine, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines), s.changed
}

var words = regexp.MustCompile(`^[\pL\pN_ -]*$`)

// match is observe.Match with the query's words. NotFound: nothing is kept of the stack.
func (s *Store) match(q rhumb.LogQuery) (func(*rhumb.LogLine) bool, error) {
	match, err := observe.Match(q)
	if err != nil {
		return nil, err
	}
	if !words.MatchString(q.Query) {
		return nil, rhumb.Errorf(rhumb.Invalid, "the query %q can't be read", q.Query)
	}
	if q.Stack != "" && !s.knows(q.Stack) {
		return nil, rhumb.Errorf(rhumb.NotFound, "nothing is kept of the stack %q", q.Stack)
	}
	return func(l *rhumb.LogLine) bool {
		for _, w := range strings.Fields(q.Query) {
			if !strings.Contains(l.Text, w) {
				return false
			}
		}
		return match(l)
	}, nil
}

// knows reports whether a line of a stack was taken or dropped.
func (s *Store) knows(stack string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of := range s.dropped {
		if of.stack == stack {
			return true
		}
	}
	return slices.ContainsFunc(s.lines, func(l rhumb.LogLine) bool { return l.Stack == stack })
}

// chosen returns the lines that a query chooses, oldest first, with those around them.
func chosen(lines []rhumb.LogLine, q rhumb.LogQuery, match func(*rhumb.LogLine) bool) []rhumb.LogLine {
	if q.Tail < 0 {
		return nil
	}
	slices.SortStableFunc(lines, func(a, b rhumb.LogLine) int { return a.Time.Compare(b.Time) })
	var hits []int
	for i := range lines {
		if match(&lines[i]) {
			hits = append(hits, i)
		}
	}
	if q.Tail > 0 {
		hits = hits[max(0, len(hits)-q.Tail):]
	}
	found := make([]rhumb.LogLine, 0, len(hits))
	for _, i := range around(lines, hits, q.Around) {
		found = append(found, lines[i])
	}
	return found
}

// around returns the indexes of the hits, and of n lines of the same writer before and after each, in order.
func around(lines []rhumb.LogLine, hits []int, n int) []int {
	chosen := map[int]bool{}
	for _, hit := range hits {
		chosen[hit] = true
		for _, direction := range []int{-1, 1} {
			for i, left := hit+direction, n; i >= 0 && i < len(lines) && left > 0; i += direction {
				if observe.SameWriter(&lines[i], &lines[hit]) {
					chosen[i] = true
					left--
				}
			}
		}
	}
	var indexes []int
	for i := range lines {
		if chosen[i] {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// LogCounts implements rhumb.Observer.
func (s *Store) LogCounts(ctx context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	match, err := s.match(q)
	if err != nil {
		return nil, err
	}
	lines, _ := s.look()
	q.Follow, q.Tail, q.Around = false, 0, 0
	lines = chosen(lines, q, match)
	counts := map[source]*rhumb.LogCount{}
	for _, l := range lines {
		c := countOf(counts, source{l.Stack, l.Service, l.Release})
		if c.Lines == 0 {
			c.First = l.Time
		}
		c.Lines, c.Bytes, c.Last = c.Lines+1, c.Bytes+int64(len(l.Text)), l.Time
		if l.Level >= rhumb.LevelError {
			c.Errors++
		}
	}
	draw(counts, lines)
	s.addDropped(counts, q)
	return sorted(counts), ctx.Err()
}

// countOf returns the count of a source.
func countOf(counts map[source]*rhumb.LogCount, of source) *rhumb.LogCount {
	if counts[of] == nil {
		counts[of] = &rhumb.LogCount{Stack: of.stack, Service: of.service, Release: of.release}
	}
	return counts[of]
}

// draw fills in the histograms.
func draw(counts map[source]*rhumb.LogCount, lines []rhumb.LogLine) {
	if len(lines) == 0 {
		return
	}
	start, step, n := observe.Bars(lines[0].Time, lines[len(lines)-1].Time)
	for _, c := range counts {
		c.Start, c.Step, c.Bars = start, step, make([]int64, n)
	}
	for _, l := range lines {
		counts[source{l.Stack, l.Service, l.Release}].Bars[l.Time.Sub(start)/step]++
	}
}

// addDropped adds the lines that could not be kept.
func (s *Store) addDropped(counts map[source]*rhumb.LogCount, q rhumb.LogQuery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, n := range s.dropped {
		if observe.CountsDropped(q, of.stack, of.service, of.release) {
			countOf(counts, of).Dropped = n
		}
	}
}

// sorted returns the counts by stack, service and release.
func sorted(counts map[source]*rhumb.LogCount) []rhumb.LogCount {
	var list []rhumb.LogCount
	for _, c := range counts {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b rhumb.LogCount) int {
		return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Release, b.Release))
	})
	return list
}
