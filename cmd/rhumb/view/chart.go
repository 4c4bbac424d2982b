package view

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
)

// maxDrawn is how many series a chart shows.
const maxDrawn = 12

// Chart draws the values of an expression over a time, with a line for each series below that has its last value.
func Chart(w io.Writer, q rhumb.MetricQuery, list []rhumb.Series) {
	c := chart{paint: paintOn(w), unit: unitOf(q.Expr), since: q.Since, until: q.Until, step: q.Step,
		cols: terminal.Width(w) - 1, rows: min(max(terminal.Height(w)/2, 6), 20)}
	c.list, c.more = list[:min(len(list), maxDrawn)], max(len(list)-maxDrawn, 0)
	c.wide = wideLetters() && (c.paint.on || len(c.list) == 1)
	c.names = seriesNames(c.list, q.Expr)
	if !c.scale() {
		fmt.Fprintf(w, "no values of %s in this time\n", OneLine(q.Expr))
		return
	}
	c.print(w)
}

// chart is a chart on its way to the terminal.
type chart struct {
	paint        paint
	unit         unit
	since, until time.Time
	step         time.Duration
	cols, rows   int // of the terminal that it may take
	wide         bool
	list         []rhumb.Series
	more         int // series that aren't drawn
	names        []string
	low, high    float64 // the values at the lower and the upper edge
	ticks        []float64
}

// scale chooses the values at the edges, and those that are labelled. It returns false if there are no values.
func (c *chart) scale() bool {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range c.list {
		for _, p := range s.Points {
			low, high = min(low, p.Value), max(high, p.Value)
		}
	}
	if low > high {
		return false
	}
	if low > 0 && low < 0.6*high {
		low = 0
	}
	if high < 0 && high > 0.6*low {
		high = 0
	}
	if low == high {
		pad := max(math.Abs(low)/2, 0.5)
		if low -= pad; low < 0 && high >= 0 {
			low = 0
		}
		high += pad
	}
	low, high = max(low, -math.MaxFloat64), min(high, math.MaxFloat64)
	step := niceStep(low, high, max(c.rows/3, 2))
	c.low, c.high = math.Floor(low/step)*step, math.Ceil(high/step)*step
	if !(c.high > c.low) || math.IsInf(c.high-c.low, 0) { // numbers at the end of what there is
		c.low, c.high, step = low, high, high/2-low/2
	}
	for i := 0; i <= 2*c.rows; i++ {
		v := c.low + float64(i)*step
		if math.IsInf(v, 0) || v > c.high+step/2 || step <= 0 {
			break
		}
		c.ticks = append(c.ticks, v)
	}
	return true
}

// niceStep returns a distance of round numbers, of which about n fit between low and high.
func niceStep(low, high float64, n int) float64 {
	raw := (high/float64(n) - low/float64(n))
	size := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, nice := range []float64{1, 2, 2.5, 5, 10} {
		if size*nice >= raw {
			return size * nice
		}
	}
	return raw
}

func (c *chart) print(w io.Writer) {
	labels, width := c.labels()
	plot := newPlot(max(c.cols-width-2, 10), c.rows)
	for i, s := range c.list {
		c.plot(plot, i, s)
	}
	edge, tick, corner, line := "|", "+", "+", "-"
	if c.wide {
		edge, tick, corner, line = "│", "┤", "└", "─"
	}
	for row := range plot.rows {
		side := edge
		if labels[row] != "" {
			side = tick
		}
		fmt.Fprintf(w, "%s %s%s\n", c.paint.dim(pad(labels[row], width)), c.paint.dim(side), c.row(plot, row))
	}
	fmt.Fprintln(w, c.paint.dim(strings.Repeat(" ", width+1)+corner+strings.Repeat(line, plot.cols)))
	fmt.Fprintln(w, c.paint.dim(strings.Repeat(" ", width+2)+c.times(plot.cols)))
	c.legend(w)
}

// labels returns the labels of the rows, and the width of the longest.
func (c *chart) labels() (labels []string, width int) {
	labels = make([]string, c.rows)
	for _, v := range c.ticks {
		row := c.rows - 1 - min(int(c.height(v)*float64(c.rows)), c.rows-1)
		labels[row] = c.unit.format(v)
		width = max(width, utf8.RuneCountInString(labels[row]))
	}
	return labels, width
}

func pad(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)) + s
}

// height returns how high a value is, from 0 at the lower edge to 1 at the upper.
func (c *chart) height(v float64) float64 {
	h := (v/2 - c.low/2) / (c.high/2 - c.low/2) // halves, because the whole may be too large a number
	if math.IsNaN(h) {
		return 0
	}
	return min(max(h, 0), 1)
}

// plot draws a series. Points with a gap between them aren't joined.
func (c *chart) plot(p *plot, n int, s rhumb.Series) {
	long := float64(c.until.Sub(c.since))
	var last rhumb.Point
	for _, pt := range s.Points {
		if pt.Time.Before(c.since) || pt.Time.After(c.until) {
			continue
		}
		x := int(float64(pt.Time.Sub(c.since)) / max(long, 1) * float64(p.width()-1))
		y := int(math.Round(c.height(pt.Value) * float64(p.height()-1)))
		if !last.Time.IsZero() && pt.Time.Sub(last.Time) <= c.step+c.step/2 {
			p.lineTo(n, x, y)
		} else {
			p.moveTo(n, x, y)
		}
		last = pt
	}
}

// row returns a row of the plot as text.
func (c *chart) row(p *plot, row int) string {
	var b strings.Builder
	for col := range p.cols {
		cell := p.at(col, row)
		switch {
		case cell.dots == 0:
			b.WriteByte(' ')
		case c.wide:
			b.WriteString(c.paint.hue(cell.series, string(rune(0x2800+int(cell.dots)))))
		default:
			b.WriteString(c.paint.hue(cell.series, c.mark(cell.series)))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

var marks = "*+ox#%@&$=~^"

// mark returns what a series is drawn with, or shown with in the legend.
func (c *chart) mark(series int) string {
	if c.wide {
		return "━"
	}
	return marks[series%len(marks) : series%len(marks)+1]
}

// times returns the labels of the time axis.
func (c *chart) times(cols int) string {
	layout, long := "15:04", c.until.Sub(c.since)
	switch {
	case long > 48*time.Hour:
		layout = "Jan 2 15:04"
	case long < 10*time.Minute:
		layout = "15:04:05"
	}
	n := max(cols/20, 1)
	line := []rune(strings.Repeat(" ", cols))
	for i := range n + 1 {
		text := []rune(c.since.Add(long / time.Duration(n) * time.Duration(i)).Local().Format(layout))
		at := min(max((cols-1)*i/n-len(text)/2, 0), max(cols-len(text), 0))
		copy(line[at:], text)
	}
	return strings.TrimRight(string(line), " ")
}

func (c *chart) legend(w io.Writer) {
	wide := 0
	for _, name := range c.names {
		wide = max(wide, utf8.RuneCountInString(name))
	}
	for i, s := range c.list {
		if len(s.Points) == 0 {
			continue
		}
		last := s.Points[len(s.Points)-1]
		words := c.unit.format(last.Value)
		if c.until.Sub(last.Time) > 2*c.step+time.Second {
			words += ", until " + last.Time.Local().Format("15:04")
		}
		name := c.names[i] + strings.Repeat(" ", wide-utf8.RuneCountInString(c.names[i]))
		fmt.Fprintf(w, "%s %s  %s\n", c.paint.hue(i, c.mark(i)), name, words)
	}
	if c.more > 0 {
		fmt.Fprintln(w, c.paint.dim(fmt.Sprintf("and %d more series", c.more)))
	}
}

// seriesNames returns what distinguishes series: the labels in which they differ. A series without any is named by the
// expression.
func seriesNames(list []rhumb.Series, expr string) []string {
	labels := differing(list)
	names := make([]string, len(list))
	for i, s := range list {
		var parts []string
		for _, l := range labels {
			if v := s.Labels[l]; v != "" && l != "__name__" {
				parts = append(parts, l+"="+v)
			}
		}
		names[i] = strings.Join(parts, " ")
		if slices.Contains(labels, "__name__") {
			names[i] = strings.TrimSpace(s.Labels["__name__"] + " " + names[i])
		}
		if names[i] == "" {
			names[i] = expr
		}
		names[i] = OneLine(names[i])
	}
	return names
}

// differing returns the names of the labels in which series differ, sorted. Of a single one, it returns all.
func differing(list []rhumb.Series) []string {
	values := map[string]map[string]bool{}
	for _, s := range list {
		for l := range s.Labels {
			values[l] = map[string]bool{}
		}
	}
	var names []string
	for l, seen := range values {
		for _, s := range list {
			seen[s.Labels[l]] = true
		}
		if len(seen) > 1 || len(list) == 1 {
			names = append(names, l)
		}
	}
	slices.Sort(names)
	return names
}
