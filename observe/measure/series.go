package measure

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb/observe"
)

// seriesOf returns a new series.
func seriesOf(name string, pairs []string) *observe.Series {
	s := &observe.Series{Name: name}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			s.Labels = append(s.Labels, observe.Label{Name: pairs[i], Value: pairs[i+1]})
		}
	}
	slices.SortFunc(s.Labels, func(a, b observe.Label) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// number returns 1 for true, and 0 for false.
func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func decimal(n int) string { return strconv.Itoa(n) }

// unixSeconds returns a time as a Unix time with its fraction.
func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
