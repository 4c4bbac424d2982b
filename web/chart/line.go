package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// Line is a chart of series over time.
type Line struct {
	Title  string // names it for those who can't see it
	Unit   Unit
	Series []Series
	Marks  []Mark
	// From and To are the ends of the axis. Zero: those of the points.
	From, To time.Time
	Gap      time.Duration  // points farther apart aren't joined; 0: three times the usual distance
	Height   int            // of the plot, in pixels; 0: 150
	Zone     *time.Location // nil: UTC
}

// HTML returns the chart with its legend, and a table of its figures. Of more than MaxSeries series it draws those with
// the highest values, and says how many it leaves out.
func (l Line) HTML() template.HTML {
	sp := over(l.From, l.To, l.Series)
	series, left := l.drawn(sp)
	c := &canvas{height: float64(cmp.Or(l.Height, 150))}
	zone := cmp.Or(l.Zone, time.UTC)
	_, east := sp.to.In(zone).Zone()
	c.printf(`<figure class="chart-box" data-from="%d" data-to="%d" data-east="%d">`, sp.from.Unix(), sp.to.Unix(), east)
	if len(series) == 0 {
		c.open("img", l.Title, "There is no data in this time.")
		c.printf(`<text class="none" x="50%%" y="%s" text-anchor="middle">no data in this time</text>`, num(c.height/2))
	} else {
		l.draw(c, sp, series)
	}
	c.times(sp, timeTicks(sp, zone))
	c.marks(sp, l.Marks)
	c.WriteString(`</svg>`)
	if len(series) > 0 {
		c.legend(l, sp, series, left)
	}
	c.WriteString(`</figure>`)
	return c.html()
}

func (l Line) draw(c *canvas, sp span, series []Series) {
	low, high := series[0].Points[0].Value, series[0].Points[0].Value
	for _, s := range series {
		least, most := extremes(s.Points)
		low, high = min(low, least.Value), max(high, most.Value)
	}
	c.open("img", l.Title, describe(l.Unit, series))
	s := scaleOf(l.Unit, low, high)
	c.grid(s)
	c.stretched(s, l.Unit)
	for _, line := range slices.Backward(series) { // the first one is drawn over all others
		pieces := split(line.Points, l.gap(line.Points))
		if line.Tone == ToneNew {
			c.printf(`<path class="area" d="%s"/>`, c.path(sp, s, pieces, true))
		}
		c.printf(`<path class="line %s" data-name="%s" d="%s"/>`, line.Tone, esc(cmp.Or(short(line.Name), l.Title)),
			c.path(sp, s, pieces, false))
	}
	c.WriteString(`</svg>`)
	c.values(s, l.Unit)
}

// drawn returns the series that are drawn, with a tone and points that can be drawn, and how many are left out.
func (l Line) drawn(sp span) (series []Series, left int) {
	for _, s := range l.Series {
		if s.Points = finite(s.Points, sp.from, sp.to); len(s.Points) > 0 {
			series = append(series, s)
		}
	}
	if len(series) > MaxSeries {
		left = len(series) - MaxSeries
		slices.SortStableFunc(series, func(a, b Series) int {
			_, mostA := extremes(a.Points)
			_, mostB := extremes(b.Points)
			return cmp.Compare(mostB.Value, mostA.Value)
		})
		series = series[:MaxSeries]
	}
	next := 0
	for i := range series {
		if series[i].Tone == "" {
			next++
			series[i].Tone = Tone(fmt.Sprintf("c%d", (next-1)%8+1))
		}
	}
	return series, left
}

// gap returns for how long there may be nothing between two points of a line.
func (l Line) gap(ps []rhumb.Point) time.Duration {
	if l.Gap > 0 {
		return l.Gap
	}
	return 3 * usual(ps)
}

// split cuts points where there is nothing between two of them for too long.
func split(ps []rhumb.Point, gap time.Duration) [][]rhumb.Point {
	var pieces [][]rhumb.Point
	begin := 0
	for i := 1; i <= len(ps); i++ {
		if i == len(ps) || ps[i].Time.Sub(ps[i-1].Time) > gap {
			pieces = append(pieces, ps[begin:i])
			begin = i
		}
	}
	return pieces
}

// usual returns the median of the times between points.
func usual(ps []rhumb.Point) time.Duration {
	if len(ps) < 2 {
		return time.Minute
	}
	between := make([]time.Duration, len(ps)-1)
	for i := range between {
		between[i] = ps[i+1].Time.Sub(ps[i].Time)
	}
	slices.Sort(between)
	return min(between[len(between)/2], math.MaxInt64/4)
}

// path returns the data of a path through all pieces, in whole units relative to each other. With area it is closed
// along the value 0.
func (c *canvas) path(sp span, s scale, pieces [][]rhumb.Point, area bool) string {
	var d strings.Builder
	base := int(c.y(s, 0) * 10)
	for _, piece := range pieces {
		x, y := c.spot(sp, s, piece[0])
		if area && len(piece) > 1 {
			fmt.Fprintf(&d, "M%d %dV%d", x, base, y)
		} else if !area {
			fmt.Fprintf(&d, "M%d %d", x, y)
			if len(piece) == 1 {
				d.WriteString("h0") // a dot
			}
		}
		for i, p := range piece[1:] {
			px, py := c.spot(sp, s, p)
			if px == x && py == y && i < len(piece)-2 {
				continue
			}
			fmt.Fprintf(&d, "l%d %d", px-x, py-y)
			x, y = px, py
		}
		if area && len(piece) > 1 {
			fmt.Fprintf(&d, "V%dz", base)
		}
	}
	return d.String()
}

// spot returns where a point is in the units of what is stretched.
func (c *canvas) spot(sp span, s scale, p rhumb.Point) (x, y int) {
	return int(math.Round(sp.at(p.Time) * 1000)), int(math.Round(c.y(s, p.Value) * 10))
}

// describe says in words what the lines show.
func describe(u Unit, series []Series) string {
	var parts []string
	for _, s := range series {
		low, high := extremes(s.Points)
		parts = append(parts, fmt.Sprintf("%s: from %s to %s, at last %s", cmp.Or(short(s.Name), "the value"),
			u.Format(low.Value), u.Format(high.Value), u.Format(s.Points[len(s.Points)-1].Value)))
	}
	return strings.Join(parts, "; ")
}

// legend names the lines, with the latest values of those that go on to the end, and holds a table of their figures.
func (c *canvas) legend(l Line, sp span, series []Series, left int) {
	c.WriteString(`<figcaption><ul class="legend">`)
	for _, s := range series {
		c.printf(`<li><i class="key %s"></i>%s`, s.Tone, esc(short(s.Name)))
		if last := s.Points[len(s.Points)-1]; sp.to.Sub(last.Time) <= l.gap(s.Points) {
			c.printf(` <b>%s</b>`, esc(l.Unit.Format(last.Value)))
		}
		c.WriteString(`</li>`)
	}
	if left > 0 {
		c.printf(`<li class="left">and %d more that aren't drawn</li>`, left)
	}
	c.printf(`</ul><details><summary>Figures<span class="hide"> of %s</span></summary><table><thead><tr>`+
		`<th scope="col">series</th><th scope="col">lowest</th><th scope="col">mean</th><th scope="col">highest</th>`+
		`<th scope="col">latest</th></tr></thead><tbody>`, esc(l.Title))
	for _, s := range series {
		low, high := extremes(s.Points)
		c.printf(`<tr><th scope="row">%s</th>`, esc(cmp.Or(short(s.Name), "value")))
		for _, v := range []float64{low.Value, mean(s.Points), high.Value, s.Points[len(s.Points)-1].Value} {
			c.printf(`<td>%s</td>`, esc(l.Unit.Format(v)))
		}
		c.WriteString(`</tr>`)
	}
	c.WriteString(`</tbody></table></details></figcaption>`)
}

func mean(ps []rhumb.Point) float64 {
	m := 0.0
	for _, p := range ps {
		m += p.Value / float64(len(ps))
	}
	return m
}
