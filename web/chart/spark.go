package chart

import (
	"fmt"
	"html/template"
	"math"
	"time"

	"rhumb"
)

// Spark returns a line without axes, for a table's cell. Its title names it for those who can't see it. Less than two
// points are an empty place of the same size.
func Spark(title string, ps []rhumb.Point) template.HTML {
	const width, height = 96.0, 22.0
	c := &canvas{}
	sp := over(time.Time{}, time.Time{}, []Series{{Points: ps}})
	ps = finite(ps, sp.from, sp.to)
	c.printf(`<svg class="spark" viewBox="0 0 960 220" width="96" height="22" preserveAspectRatio="none" role="img"`+
		` aria-label="%s">`, esc(title))
	if len(ps) > 1 {
		low, high := extremes(ps)
		bottom, top := min(low.Value, 0), max(high.Value, 0)
		if top == bottom {
			top = bottom + 1
		}
		c.WriteString(`<path class="line new" d="`)
		for _, piece := range split(ps, 3*usual(ps)) {
			for i, p := range piece {
				x := math.Round(sp.at(p.Time) * width * 10)
				y := math.Round((2 + (height-4)*(1-(p.Value-bottom)/(top-bottom))) * 10)
				c.printf("%c%s %s", "ML"[min(i, 1)], num(x), num(y))
			}
		}
		c.WriteString(`"/>`)
	}
	c.WriteString(`</svg>`)
	return c.html()
}

// Meter returns a bar that is filled to a share from 0 to 1. From warn on it has the colour of a warning, from bad on
// that of an error; 0: never.
func Meter(title string, share, warn, bad float64) template.HTML {
	share = max(0, min(1, share))
	if math.IsNaN(share) {
		share = 0
	}
	tone := ToneNew
	switch {
	case bad > 0 && share >= bad:
		tone = ToneBad
	case warn > 0 && share >= warn:
		tone = ToneWarn
	}
	return template.HTML(fmt.Sprintf(`<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" `+
		`aria-label="%s"><rect class="track" width="100" height="6"/><rect class="col %s" width="%s" height="6"/></svg>`,
		esc(title), tone, num(share*100)))
}
