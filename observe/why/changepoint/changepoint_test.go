package changepoint_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe/why/changepoint"
)

var start = time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)

const (
	step   = 15 * time.Second
	length = 480 // two hours
)

var since = start.Add(time.Hour)

// noise returns the value at a point of a kind of quiet series, at a level of about 100.
type noise func(r *rand.Rand) func(i int) float64

var quiet = map[string]noise{
	"normal": func(r *rand.Rand) func(int) float64 {
		sd := 2 + 20*r.Float64()
		return func(int) float64 { return 100 + sd*r.NormFloat64() }
	},
	"bursty": func(r *rand.Rand) func(int) float64 { // bursts of a minute or two, some in every quarter of an hour
		left := 0
		return func(int) float64 {
			if left--; left < 0 && r.Float64() < 0.02 {
				left = 3 + r.IntN(5)
			}
			if left >= 0 {
				return 160 + 20*r.NormFloat64()
			}
			return 100 + 10*r.NormFloat64()
		}
	},
	"daily cycle": func(r *rand.Rand) func(int) float64 {
		at := r.Float64() * 2 * math.Pi
		return func(i int) float64 {
			day := 2 * math.Pi * float64(i) * step.Hours() / 24
			return 100 + 60*math.Sin(day+at) + 6*r.NormFloat64()
		}
	},
	"drift": func(r *rand.Rand) func(int) float64 {
		slope := 80 * (r.Float64() - 0.3) / length
		return func(i int) float64 { return 100 + slope*float64(i) + 5*r.NormFloat64() }
	},
	"spiky": func(r *rand.Rand) func(int) float64 {
		return func(int) float64 {
			if r.Float64() < 0.03 {
				return 100 * math.Exp(2*r.Float64())
			}
			return 100 + 8*r.NormFloat64()
		}
	},
	"correlated": func(r *rand.Rand) func(int) float64 {
		v := 0.0
		return func(int) float64 {
			v = 0.85*v + 5*r.NormFloat64()
			return 100 + v
		}
	},
	"rare events": func(r *rand.Rand) func(int) float64 {
		return func(int) float64 {
			if r.Float64() < 0.05 {
				return 100
			}
			return 0
		}
	},
}

// series draws a series of a kind; change alters the value of a point.
func series(kind string, seed uint64, change func(i int, v float64) float64) []rhumb.Point {
	r := rand.New(rand.NewPCG(seed, uint64(len(kind))))
	value := quiet[kind](r)
	var points []rhumb.Point
	gap := 0
	for i := range length {
		v := value(i)
		if change != nil {
			v = change(i, v)
		}
		if gap--; gap < 0 && r.Float64() < 0.002 {
			gap = r.IntN(12)
		}
		if gap < 0 {
			points = append(points, rhumb.Point{Time: start.Add(time.Duration(i) * step), Value: v})
		}
	}
	return points
}

var rule = changepoint.Rule{Ratio: 1.5, Delta: 20}

func runs(t *testing.T) uint64 {
	if testing.Short() {
		return 60
	}
	return 400
}

func TestQuietSeriesDontChange(t *testing.T) {
	for kind := range quiet {
		wrong := 0
		for seed := range runs(t) {
			points := series(kind, seed, nil)
			found := changepoint.Find(points, since, rule)
			down := changepoint.Find(points, since, changepoint.Rule{Ratio: 1.5, Delta: 20, Down: true})
			if len(found)+len(down) > 0 {
				wrong++
				if wrong < 3 {
					t.Logf("%s, seed %d: %+v %+v", kind, seed, found, down)
				}
			}
		}
		t.Logf("%s: %d of %d quiet series had a change", kind, wrong, runs(t))
		if allowed := 1 + int(runs(t))/400; wrong > allowed {
			t.Errorf("%s: %d of %d quiet series had a change, want at most %d", kind, wrong, runs(t), allowed)
		}
	}
}

func TestStepsAreFoundWhereTheyAre(t *testing.T) {
	for kind, least := range map[string]float64{
		"normal": 0.96, "bursty": 0.96, "daily cycle": 0.95, "drift": 0.96, "spiky": 0.9, "correlated": 0.96,
	} {
		for _, factor := range []float64{3, 5} {
			found := 0
			for seed := range runs(t) {
				at := 260 + rand.New(rand.NewPCG(seed, 9)).IntN(180)
				points := series(kind, seed, func(i int, v float64) float64 {
					if i >= at {
						return v * factor
					}
					return v
				})
				want := start.Add(time.Duration(at) * step)
				for _, c := range changepoint.Find(points, since, rule) {
					if off := c.At.Sub(want); off.Abs() <= 90*time.Second && c.Is > c.Was*1.5 && c.Lasts {
						found++
						break
					}
				}
			}
			if share := float64(found) / float64(runs(t)); share < least {
				t.Errorf("%s times %g: %.3f found, want %.3f", kind, factor, share, least)
			}
		}
	}
}

func TestFallsAndReturnsAreFound(t *testing.T) {
	points := series("normal", 4, func(i int, v float64) float64 {
		if i >= 300 && i < 340 {
			return v / 20
		}
		return v
	})
	found := changepoint.Find(points, since, changepoint.Rule{Ratio: 2, Delta: 20, Down: true})
	if len(found) != 1 || found[0].Lasts || found[0].Is > 10 {
		t.Fatalf("found %+v, want one fall", found)
	}
	if off := found[0].Until.Sub(start.Add(339 * step)); off.Abs() > time.Minute {
		t.Errorf("it ends %s off", off)
	}
}

func TestChangesBelowTheRuleDontCount(t *testing.T) {
	for seed := range uint64(50) {
		points := series("normal", seed, func(i int, _ float64) float64 {
			if i >= 300 {
				return 109
			}
			return 100
		})
		if found := changepoint.Find(points, since, rule); found != nil {
			t.Fatalf("seed %d: found %+v", seed, found)
		}
	}
}

func TestShortAndEmptySeriesHaveNoChange(t *testing.T) {
	all := series("normal", 1, func(i int, v float64) float64 { return v * float64(1+i/300*9) })
	for n := range 40 {
		if found := changepoint.Find(all[len(all)-n:], since, rule); found != nil {
			t.Fatalf("%d points: found %+v", n, found)
		}
	}
}

func TestGrowthIsNoStepAndAStepIsNoGrowth(t *testing.T) {
	for seed := range uint64(100) {
		ramp := series("normal", seed, func(i int, v float64) float64 { return v/10 + 90*max(0, float64(i-280)/150) })
		if g, ok := changepoint.Grow(ramp, since, 40); !ok || g.At.Sub(start.Add(280*step)).Abs() > 8*time.Minute {
			t.Errorf("seed %d: growth %+v %t", seed, g, ok)
		}
		jump := series("normal", seed, func(i int, v float64) float64 { return v/10 + 90*float64(i/300) })
		if g, ok := changepoint.Grow(jump, since, 40); ok {
			t.Errorf("seed %d: a step is the growth %+v", seed, g)
		}
		still := series("normal", seed, func(_ int, v float64) float64 { return v / 10 })
		if g, ok := changepoint.Grow(still, since, 40); ok {
			t.Errorf("seed %d: a quiet series has the growth %+v", seed, g)
		}
	}
}
