// Package changepoint finds where a series of numbers changed: steps, and growth towards a peak. It is pure, and the
// noise that a series always had is no change.
package changepoint

import (
	"slices"
	"time"

	"rhumb"
)

// Rule says which changes matter. What is smaller is no change, however certain it is.
type Rule struct {
	Ratio float64 // at least so many times as much as before, or with Down as little
	Delta float64 // and at least so much more, or less
	Down  bool    // look for falls, not for rises
}

// Change is a time from which a series was at another level.
type Change struct {
	At      time.Time // of the first point at the new level
	Until   time.Time // of the last one
	Was, Is float64   // medians: of the time before, and from At to Until
	Lasts   bool      // it lasts until the end of the series
}

const (
	judged     = 3 * time.Minute // a shorter change is noise
	minPoints  = 6               // in so much time, however seldom points come
	maxPoints  = 24
	confidence = 1e-4 // the probability at which chance is ruled out
)

// Find returns the changes of a series from since on, oldest first. The points before since are what is usual; if they
// cover less than six minutes, nothing is known and nothing is found. Gaps are allowed.
//
// A change has a median over three minutes that is farther from the usual median than twice the farthest such median
// before, than the usual bursts, and than Rule asks. It is abrupt: a slow drift is none. And so many of its points are
// beyond nine tenths of all points before that chance is ruled out.
func Find(points []rhumb.Point, since time.Time, r Rule) []Change {
	f := finder{rule: r, n: window(points), points: points}
	for _, p := range points {
		v := p.Value
		if r.Down {
			v = -v
		}
		f.values = append(f.values, v)
		if p.Time.Before(since) {
			f.start++
		}
	}
	if f.start < 2*f.n || len(points)-f.start < f.n {
		return nil
	}
	f.learn()
	var changes []Change
	for i := f.start - f.n/2; i+f.n <= len(points); {
		if !f.changes(i) {
			i++
			continue
		}
		c, next := f.change(i)
		if !c.Until.Before(since) {
			changes = append(changes, c)
		}
		i = max(next, i+1)
	}
	return changes
}

// window returns how many points are judged together.
func window(points []rhumb.Point) int {
	if len(points) < 2 {
		return minPoints
	}
	var steps []float64
	for i := 1; i < len(points); i++ {
		steps = append(steps, points[i].Time.Sub(points[i-1].Time).Seconds())
	}
	step := Median(steps)
	if step <= 0 {
		return minPoints
	}
	return min(max(int(judged.Seconds()/step), minPoints), maxPoints)
}

// finder looks for rises of values; falls are rises of their negatives.
type finder struct {
	rule   Rule
	points []rhumb.Point
	values []float64
	n      int // points that are judged together
	start  int // index of the first point that isn't of the usual time

	usual  float64 // median of the usual time
	least  float64 // the level that a change reaches
	decile float64 // nine tenths of the usual points are below or at it
}

// learn finds out what is usual.
func (f *finder) learn() {
	before := f.values[:f.start]
	f.usual = Median(before)
	sorted := slices.Sorted(slices.Values(before))
	f.decile = sorted[len(sorted)*9/10]
	var farthest float64
	for i := 0; i+f.n <= len(before); i += max(1, f.n/4) {
		farthest = max(farthest, distance(Median(before[i:i+f.n]), f.usual))
	}
	spread := make([]float64, len(before))
	for i, v := range before {
		spread[i] = distance(v, f.usual)
	}
	var burst float64 // a single point is none
	for i := 0; i+3 <= len(before); i++ {
		burst = max(burst, Median(before[i:i+3])-f.usual)
	}
	apart := max(f.rule.Delta, 2*farthest+1.5*Median(spread), 1.2*burst)
	switch was := f.usual; {
	case f.rule.Down && f.rule.Ratio > 0:
		apart = max(apart, -was-(-was)/f.rule.Ratio)
	case !f.rule.Down:
		apart = max(apart, was*(f.rule.Ratio-1))
	}
	f.least = f.usual + apart
}

// changes reports whether a new level may begin about the point i.
func (f *finder) changes(i int) bool {
	after := Median(f.values[i : i+f.n])
	if after < f.least || after <= f.usual {
		return false
	}
	before := Median(f.values[max(0, i-2*f.n):max(1, i-f.n/3)])
	if after-before < (after-f.usual)/2 {
		return false
	}
	beyond := 0
	for _, v := range f.values[i : i+f.n] {
		if v > f.decile {
			beyond++
		}
	}
	return chance(beyond, f.n) < confidence
}

// change returns the change that changes has found at i, and the index from which to go on.
func (f *finder) change(i int) (Change, int) {
	half := (Median(f.values[i:i+f.n]) + f.usual) / 2
	from := i
	for from+1 < i+f.n && !f.stays(from, half) {
		from++
	}
	to := from
	for to+f.n < len(f.values) && Median(f.values[to+1:to+1+f.n]) > half {
		to++
	}
	to = min(to+f.n-1, len(f.values)-1)
	for to > from && f.values[to] <= half && to < len(f.values)-1 {
		to--
	}
	c := Change{At: f.points[from].Time, Until: f.points[to].Time, Was: f.usual, Is: Median(f.values[from : to+1]),
		Lasts: to >= len(f.values)-2}
	if f.rule.Down {
		c.Was, c.Is = -c.Was, -c.Is
	}
	return c, to + 1
}

// stays reports whether the values from i on are above a level.
func (f *finder) stays(i int, level float64) bool {
	if f.values[i] <= level {
		return false
	}
	above := 0
	next := f.values[i:min(i+f.n/2, len(f.values))]
	for _, v := range next {
		if v > level {
			above++
		}
	}
	return 4*above >= 3*len(next)
}

// chance returns how likely at least k of n values are in the upper tenth of all by chance.
func chance(k, n int) float64 {
	var sum float64
	for ; k <= n; k++ {
		p := 1.0
		for i := range k {
			p *= 0.1 * float64(n-i) / float64(i+1)
		}
		for range n - k {
			p *= 0.9
		}
		sum += p
	}
	return sum
}

// Median returns the middle value; 0 if there is none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	var few [64]float64 // no allocation for few values
	sorted := append(few[:0], values...)
	slices.Sort(sorted)
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func distance(a, b float64) float64 { return max(a-b, b-a) }
