package web

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"rhumb"
)

// spark draws a few points as a line as wide as a word; "" if there are too few.
func spark(points []rhumb.Point) template.HTML {
	if len(points) < 2 {
		return ""
	}
	top := 0.0
	for _, p := range points {
		top = max(top, p.Value)
	}
	first, last := points[0].Time, points[len(points)-1].Time
	var d strings.Builder
	for i, p := range points {
		x, y := 0.0, 22.0
		if width := last.Sub(first); width > 0 {
			x = 100 * p.Time.Sub(first).Seconds() / width.Seconds()
		}
		if top > 0 {
			y = 22 - 20*max(0, p.Value)/top
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", [2]string{"L", "M"}[b2i(i == 0)], x, y)
	}
	return template.HTML(`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">` +
		`<path class="under" d="` + d.String() + `L100 24L0 24Z"/><path d="` + d.String() + `"/></svg>`)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// barWidth returns how much of a bar is full, of 100, for a ratio.
func barWidth(v float64) string { return strconv.FormatFloat(100*min(max(v, 0), 1), 'f', 1, 64) }
