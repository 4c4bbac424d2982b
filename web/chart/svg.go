package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The measures of a chart in pixels.
const (
	plotTop    = 16.0 // the room above the lines, for the labels of marks
	axisHeight = 22.0 // the room below, for times
)

// canvas is a drawing that grows.
type canvas struct {
	strings.Builder
	height float64 // of the plot
}

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(c, format, args...) }

// html returns what was drawn. All that comes from outside went through esc.
func (c *canvas) html() template.HTML { return template.HTML(c.String()) }

// open begins a chart. Its label names it for those who can't see it; desc says what is to be seen.
func (c *canvas) open(role, label, desc string) {
	c.printf(`<svg class="chart" width="100%%" height="%s" role="%s" aria-label="%s"><desc>%s</desc>`,
		num(c.height+axisHeight), role, esc(label), esc(desc))
}

// grid draws the lines of the vertical axis.
func (c *canvas) grid(s scale) {
	for _, v := range s.ticks {
		c.printf(`<line class="grid" x1="0" x2="100%%" y1="%s" y2="%[1]s"/>`, num(c.y(s, v)))
	}
}

// values names the values of the vertical axis, over what is drawn.
func (c *canvas) values(s scale, u Unit) {
	for _, v := range s.ticks {
		if v != 0 || s.low < 0 {
			c.printf(`<text class="axis" x="2" y="%s">%s</text>`, num(c.y(s, v)-4), esc(u.Format(v)))
		}
	}
}

// times names the times of the horizontal axis. On narrow screens, the style sheet hides each second one.
func (c *canvas) times(sp span, ticks []tick) {
	for i, t := range ticks {
		x, class, anchor := sp.at(t.at), "axis", "middle"
		if i%2 == 1 {
			class += " odd"
		}
		if x < 0.03 {
			anchor = "start"
		} else if x > 0.97 {
			anchor = "end"
		}
		c.printf(`<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`,
			class, pc(x), num(c.height+axisHeight-7), anchor, esc(t.label))
	}
}

// marks draws the moments within the span, the last ones if there are too many. A label that would run into the one
// before it is left out.
func (c *canvas) marks(sp span, marks []Mark) {
	var drawn []Mark
	for _, m := range marks {
		if sp.has(m.At) {
			drawn = append(drawn, m)
		}
	}
	slices.SortStableFunc(drawn, func(a, b Mark) int { return a.At.Compare(b.At) })
	drawn = drawn[max(0, len(drawn)-maxMarks):]
	free := 0.1 // before that is the label of the axis
	for _, m := range drawn {
		x := sp.at(m.At)
		class := "mark"
		if m.Bad {
			class += " bad"
		}
		if m.Link != "" {
			c.printf(`<a href="%s" tabindex="-1">`, esc(m.Link))
		}
		c.printf(`<g class="%s"><title>%s</title><line x1="%s" x2="%[3]s" y1="0" y2="%s"/>`,
			class, esc(m.Title), pc(x), num(c.height))
		if x >= free && m.Label != "" {
			anchor, dx := "start", "4"
			if x > 0.9 {
				anchor, dx = "end", "-4"
			}
			c.printf(`<text x="%s" dx="%s" y="11" text-anchor="%s">%s</text>`, pc(x), dx, anchor, esc(m.Label))
			free = x + 0.03 + 0.018*float64(utf8.RuneCountInString(m.Label))
		}
		c.WriteString(`</g>`)
		if m.Link != "" {
			c.WriteString(`</a>`)
		}
	}
}

// stretched begins what is stretched to the width: a thousand units, and ten for each pixel of the height. A script may
// compute values from its attributes.
func (c *canvas) stretched(s scale, u Unit) {
	c.printf(`<svg width="100%%" height="%s" viewBox="0 0 1000 %s" preserveAspectRatio="none" aria-hidden="true" `+
		`data-low="%g" data-high="%g" data-unit="%s">`, num(c.height), num(c.height*10), s.low, s.high, u.sign())
}

// y returns where a value is, in pixels from the top.
func (c *canvas) y(s scale, v float64) float64 {
	return plotTop + (c.height-plotTop-1)*(1-s.at(v))
}

// num returns a coordinate.
func num(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// pc returns a share of the width.
func pc(v float64) string { return strconv.FormatFloat(math.Round(v*1e4)/100, 'f', -1, 64) + "%" }

// esc returns a text for HTML and XML: in one line, not too long, and with a mark in place of each character that
// can't be in XML, can't be seen, or turns the direction of what follows.
func esc(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	n := 0
	s = strings.Map(func(r rune) rune {
		if n++; n > maxText*8 {
			return -1
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) || r == 0xFFFE || r == 0xFFFF {
			return '\uFFFD'
		}
		return r
	}, s)
	return html.EscapeString(s)
}

// short returns a name of at most maxText runes.
func short(s string) string {
	if n := utf8.RuneCountInString(s); n > maxText {
		return string([]rune(s)[:maxText-1]) + "…"
	}
	return s
}
