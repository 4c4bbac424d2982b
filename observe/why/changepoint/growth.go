package changepoint

import (
	"time"

	"rhumb"
)

// Growth is a slow, steady rise of a series to a peak.
type Growth struct {
	At       time.Time // when it began
	Peak     time.Time
	From, To float64
}

const (
	slowest = 4 * time.Minute // what rises faster is a step
	chunk   = 5               // points whose median counts as one
	rising  = 0.7             // the share of medians that must be above the one before
)

// Grow returns the growth of a series to its highest level from since on, if it has one of at least delta.
func Grow(points []rhumb.Point, since time.Time, delta float64) (Growth, bool) {
	levels := medians(points)
	peak := -1
	for i, p := range levels {
		if !p.Time.Before(since) && (peak < 0 || p.Value > levels[peak].Value) {
			peak = i
		}
	}
	if peak < 0 {
		return Growth{}, false
	}
	low := peak
	for i := peak; i >= 0; i-- {
		if levels[i].Value < levels[low].Value {
			low = i
		}
	}
	height := levels[peak].Value - levels[low].Value
	if height < delta || height <= 0 {
		return Growth{}, false
	}
	from, to := low, peak
	for i := low; i < peak; i++ {
		if levels[i].Value <= levels[low].Value+0.1*height {
			from = i
		}
	}
	for i := peak; i > from; i-- {
		if levels[i].Value >= levels[low].Value+0.9*height {
			to = i
		}
	}
	if levels[to].Time.Sub(levels[from].Time) < slowest || !steady(levels[from:peak+1]) {
		return Growth{}, false
	}
	return Growth{At: levels[from].Time, Peak: levels[peak].Time, From: levels[from].Value, To: levels[peak].Value}, true
}

// steady reports whether most points are above the one before, and none takes back a third of the whole.
func steady(levels []rhumb.Point) bool {
	up, height := 0, levels[len(levels)-1].Value-levels[0].Value
	for i := 1; i < len(levels); i++ {
		switch d := levels[i].Value - levels[i-1].Value; {
		case d > 0:
			up++
		case -d > height/3:
			return false
		}
	}
	return float64(up) >= rising*float64(len(levels)-1)
}

// medians returns the medians of each few points.
func medians(points []rhumb.Point) []rhumb.Point {
	var levels []rhumb.Point
	for i := 0; i+chunk <= len(points); i += chunk {
		values := make([]float64, chunk)
		for j := range chunk {
			values[j] = points[i+j].Value
		}
		levels = append(levels, rhumb.Point{Time: points[i+chunk/2].Time, Value: Median(values)})
	}
	return levels
}
