package observefake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/observe"
)

// Added is a sample that was added.
type Added struct {
	At time.Time
	observe.Sample
}

// Metrics is an observe.SampleSink in memory.
type Metrics struct {
	mu    sync.Mutex
	added []Added
	last  map[string]Added // by the text of the series
	ended map[string]bool
	full  error
}

// NewMetrics returns an empty one.
func NewMetrics() *Metrics { return &Metrics{last: map[string]Added{}, ended: map[string]bool{}} }

// Fail makes Add drop all samples and return an error, until it is called with nil.
func (m *Metrics) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = err
}

// Add implements observe.SampleSink.
func (m *Metrics) Add(ctx context.Context, at time.Time, samples []observe.Sample) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.full
	for _, s := range samples {
		key := keyOf(s.Series)
		last, ok := m.last[key]
		switch {
		case m.full != nil:
		case ok && (at.Before(last.At) || at.Equal(last.At) && s.Value != last.Value):
			first = rhumb.Errorf(rhumb.Invalid, "%s has later samples already", s.Series.Name)
		default:
			m.last[key], m.ended[key] = Added{at, s}, false
			m.added = append(m.added, m.last[key])
		}
	}
	return first
}

// End implements observe.SampleSink.
func (m *Metrics) End(ctx context.Context, _ time.Time, series []*observe.Series) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range series {
		m.ended[keyOf(s)] = true
	}
	return ctx.Err()
}

// All returns all samples in the order in which they were added.
func (m *Metrics) All() []Added {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.added)
}

// Last returns the last value of the series with a name and labels, which are pairs of a name and a value, sorted by
// name. It returns false if there is none, or if the series has ended.
func (m *Metrics) Last(name string, labels ...string) (float64, bool) {
	of := &observe.Series{Name: name}
	for i := 0; i+1 < len(labels); i += 2 {
		of.Labels = append(of.Labels, observe.Label{Name: labels[i], Value: labels[i+1]})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.last[keyOf(of)]
	return a.Value, ok && !m.ended[keyOf(of)]
}

// keyOf returns a text that is the same for the same series.
func keyOf(s *observe.Series) string { return fmt.Sprintf("%s%q", s.Name, s.Labels) }
