package observe

import "time"

// MaxBars is how many bars a histogram has at most.
const MaxBars = 60

var steps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// Bars returns the start of a histogram of lines from a first to a last one, the width of its bars, and how many there
// are. The width is the smallest handy one for which MaxBars suffice. Bars begin at its multiples since 1970, in UTC.
func Bars(first, last time.Time) (start time.Time, step time.Duration, n int) {
	for _, step = range steps {
		if start, n = bars(first, last, step); n <= MaxBars {
			return start, step, n
		}
	}
	for n > MaxBars {
		step *= 2
		start, n = bars(first, last, step)
	}
	return start, step, n
}

// bars returns the start of a histogram with bars of a width, and how many it has.
func bars(first, last time.Time, step time.Duration) (time.Time, int) {
	over := first.UnixNano() % int64(step)
	if over < 0 {
		over += int64(step)
	}
	start := first.UTC().Add(-time.Duration(over))
	return start, int(last.Sub(start)/step) + 1
}
