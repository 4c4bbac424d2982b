package main

import (
	"fmt"
	"slices"
	"time"
)

// series is the results of one measurement, by round.
type series []time.Duration

func (s series) median() time.Duration {
	c := slices.Sorted(slices.Values(s))
	return c[len(c)/2]
}

func (s series) sum() (all time.Duration) {
	for _, d := range s {
		all += d
	}
	return all
}

// report prints a series and its ratio to the floor, round by round.
func report(name string, s, floor series) {
	ratios := make([]float64, len(s))
	for i := range s {
		ratios[i] = float64(s[i]) / float64(floor[i])
	}
	slices.Sort(ratios)
	fmt.Printf("  %-46s median %7s  min %7s  max %7s   ratio to the floor: median %.2f, min %.2f, max %.2f\n", name,
		ms(s.median()), ms(slices.Min(s)), ms(slices.Max(s)), ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// part returns the value that so many percent don't exceed.
func (s series) part(percent int) time.Duration {
	c := slices.Sorted(slices.Values(s))
	return c[(len(c)-1)*percent/100]
}
