package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"time"
)

// Bars is a histogram: how many things there were in each stretch of time, by kind.
type Bars struct {
	Title  string
	Start  time.Time
	Step   time.Duration // the width of a bar
	Kinds  []Kind        // the first one stands at the bottom
	Marks  []Mark
	Height int            // of the plot, in pixels; 0: 64
	Zone   *time.Location // nil: UTC
	// Link returns the address behind a bar; nil: there is none.
	Link func(from, to time.Time) string
}

// Kind is a part of every bar.
type Kind struct {
	Name   string
	Tone   Tone
	Counts []int64 // by bar; missing ones are 0
}

// HTML returns the histogram with its legend. Of too many bars it draws the last ones.
func (b Bars) HTML() template.HTML {
	c := &canvas{height: float64(cmp.Or(b.Height, 64))}
	sums := b.sums()
	step := max(b.Step, time.Second)
	skip := max(0, len(sums)-maxBars)
	sp := span{b.Start.Add(time.Duration(skip) * step), b.Start.Add(time.Duration(len(sums)) * step)}
	if !sp.to.After(sp.from) {
		sp.to = sp.from.Add(time.Minute)
	}
	c.printf(`<figure class="chart-box" data-from="%d" data-to="%d">`, sp.from.Unix(), sp.to.Unix())
	c.open("img", b.Title, b.describe())
	most := int64(1)
	for _, n := range sums[skip:] {
		most = max(most, n)
	}
	for i, n := range sums[skip:] {
		if n > 0 {
			b.bar(c, skip+i, len(sums)-skip, i, n, float64(most), step)
		}
	}
	c.printf(`<line class="grid" x1="0" x2="100%%" y1="%s" y2="%[1]s"/>`, num(c.height))
	c.printf(`<text class="axis" x="2" y="11">%s</text>`, esc(Number.Format(float64(most))))
	c.times(sp, timeTicks(sp, cmp.Or(b.Zone, time.UTC)))
	c.marks(sp, b.Marks)
	c.WriteString(`</svg><figcaption><ul class="legend">`)
	for _, k := range b.Kinds {
		n := Number.Format(float64(sum(k.Counts)))
		c.printf(`<li><i class="key %s"></i>%s <b>%s</b></li>`, k.Tone, esc(short(k.Name)), n)
	}
	c.WriteString(`</ul></figcaption></figure>`)
	return c.html()
}

// bar draws the parts of the bar i, which stands at a place out of n.
func (b Bars) bar(c *canvas, i, n, place int, total int64, most float64, step time.Duration) {
	from := b.Start.Add(time.Duration(i) * step)
	if b.Link != nil {
		c.printf(`<a href="%s" tabindex="-1">`, esc(b.Link(from, from.Add(step))))
	}
	zone := cmp.Or(b.Zone, time.UTC)
	c.printf(`<g><title>%s: %s</title>`, esc(from.In(zone).Format("15:04:05")), Number.Format(float64(total)))
	width := 1 / float64(n)
	y := c.height
	for _, k := range b.Kinds {
		if i >= len(k.Counts) || k.Counts[i] <= 0 {
			continue
		}
		h := max(1, math.Round((c.height-plotTop)*float64(k.Counts[i])/most*10)/10)
		y = max(0, y-h)
		c.printf(`<rect class="col %s" x="%s" width="%s" y="%s" height="%s"/>`,
			k.Tone, pc(float64(place)*width), pc(width*0.78), num(y), num(h))
	}
	c.WriteString(`</g>`)
	if b.Link != nil {
		c.WriteString(`</a>`)
	}
}

// sums returns the height of each bar. Negative counts don't count.
func (b Bars) sums() []int64 {
	n := 0
	for _, k := range b.Kinds {
		n = max(n, len(k.Counts))
	}
	sums := make([]int64, n)
	for _, k := range b.Kinds {
		for i, v := range k.Counts {
			sums[i] = add(sums[i], v)
		}
	}
	return sums
}

func sum(counts []int64) int64 {
	n := int64(0)
	for _, v := range counts {
		n = add(n, v)
	}
	return n
}

// add returns the sum of two counts, without overflow.
func add(a, b int64) int64 {
	if b <= 0 {
		return a
	}
	return min(a, math.MaxInt64-b) + b
}

func (b Bars) describe() string {
	text := ""
	for i, k := range b.Kinds {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s: %s", short(k.Name), Number.Format(float64(sum(k.Counts))))
	}
	return text
}
