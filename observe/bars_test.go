package observe_test

import (
	"testing"
	"time"

	"rhumb/observe"
)

func TestBarsCoverAllLines(t *testing.T) {
	first := time.Date(2026, 11, 28, 3, 48, 11, 5, time.UTC)
	for _, c := range []struct {
		span, step time.Duration
		n          int
	}{
		{0, time.Second, 1},
		{time.Second, time.Second, 2},
		{time.Minute, 5 * time.Second, 13},
		{time.Hour, 5 * time.Minute, 13},
		{24 * time.Hour, 30 * time.Minute, 49},
		{30 * 24 * time.Hour, 24 * time.Hour, 31},
		{1000 * 24 * time.Hour, 32 * 24 * time.Hour, 32},
	} {
		last := first.Add(c.span)
		start, step, n := observe.Bars(first, last)
		end := start.Add(step * time.Duration(n))
		if start.After(first) || !end.After(last) || start.UnixNano()%int64(step) != 0 || n > observe.MaxBars ||
			n != c.n || step != c.step {
			t.Errorf("%s: %d bars of %s from %s to %s, lines from %s to %s", c.span, n, step, start, end, first, last)
		}
	}
}
