package observetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// counts returns what LogCounts returns, without its histograms: their bars must be as many lines.
func (b *bench) counts(q rhumb.LogQuery) []rhumb.LogCount {
	b.Helper()
	list, err := b.LogCounts(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	for i := range list {
		c, bars := &list[i], int64(0)
		for _, n := range c.Bars {
			bars += n
		}
		end := c.Start.Add(c.Step * time.Duration(len(c.Bars)))
		if c.Lines > 0 && (c.First.Before(c.Start) || !c.Last.Before(end)) {
			b.Errorf("a histogram from %s to %s, lines from %s to %s", c.Start, end, c.First, c.Last)
		}
		if bars != c.Lines || len(c.Bars) > 60 {
			b.Errorf("%d lines in %d bars, want %d", bars, len(c.Bars), c.Lines)
		}
		c.Start, c.Step, c.Bars = time.Time{}, 0, nil
	}
	return list
}

var countTests = map[string]func(*bench){
	"counts are by service and release": func(b *bench) {
		b.shop()
		b.take(b.line(7*time.Second, "größe"))
		at := func(second int) time.Time { return b.start.Add(time.Duration(second) * time.Second) }
		blog := rhumb.LogCount{Stack: "blog", Service: "web", Release: 1, Lines: 1, Bytes: 3, First: at(6), Last: at(6)}
		db := rhumb.LogCount{Stack: "shop", Service: "db", Release: 2, Lines: 1, Bytes: 3, First: at(2), Last: at(2)}
		web := rhumb.LogCount{
			Stack: "shop", Service: "web", Release: 1, Lines: 5, Bytes: 53, Errors: 1, First: at(1), Last: at(7),
		}
		for _, c := range []struct {
			q    rhumb.LogQuery
			want []rhumb.LogCount
		}{
			{rhumb.LogQuery{}, []rhumb.LogCount{blog, db, web}},
			{rhumb.LogQuery{Stack: "blog"}, []rhumb.LogCount{blog}},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 1}, Around: 3}, []rhumb.LogCount{blog, db, web}},
			{rhumb.LogQuery{Grep: "^two$"}, []rhumb.LogCount{db}},
			{rhumb.LogQuery{Grep: "none"}, nil},
		} {
			if diff := cmp.Diff(c.want, b.counts(c.q)); diff != "" {
				b.Errorf("%+v (-want +got):\n%s", c.q, diff)
			}
		}
	},
	"many services are counted": func(b *bench) {
		var lines []rhumb.LogLine
		for i := range 20_000 {
			l := b.line(time.Duration(i)*time.Second/10, "x")
			l.Service, l.Release = fmt.Sprint("service", i%300), 1+i%2
			lines = append(lines, l)
		}
		b.take(lines...)
		total := int64(0)
		for _, c := range b.counts(rhumb.LogQuery{}) {
			total += c.Lines
		}
		if total != 20_000 {
			b.Errorf("%d lines are counted, want 20000", total)
		}
	},
	"bars are where their lines are": func(b *bench) {
		start := b.start.Truncate(time.Minute)
		for _, second := range []int{0, 0, 3, 59} {
			l := b.line(0, "x")
			l.Time = start.Add(time.Duration(second) * time.Second)
			b.take(l)
		}
		list, err := b.LogCounts(b.Context(), rhumb.LogQuery{})
		if err != nil || len(list) != 1 || len(list[0].Bars) != 60 {
			b.Fatalf("%+v: %v", list, err)
		}
		c := list[0]
		if !c.Start.Equal(start) || c.Step != time.Second || c.Bars[0] != 2 || c.Bars[3] != 1 || c.Bars[59] != 1 {
			b.Errorf("got %+v", c)
		}
	},
	"empty and odd texts are counted": func(b *bench) {
		var bytes int64
		for _, text := range odd {
			b.take(b.line(0, text))
			bytes += int64(len(text))
		}
		got := b.counts(rhumb.LogQuery{})
		if len(got) != 1 || got[0].Lines != int64(len(odd)) || got[0].Bytes != bytes {
			b.Errorf("%+v, want %d lines of %d bytes", got, len(odd), bytes)
		}
	},
	"dropped lines are counted": func(b *bench) {
		b.Drop("shop", "web", 1, 5)
		b.Drop("shop", "web", 1, 2)
		b.Drop("blog", "web", 2, 1)
		want := rhumb.LogCount{Stack: "shop", Service: "web", Release: 1, Dropped: 7}
		if diff := cmp.Diff([]rhumb.LogCount{want}, b.counts(rhumb.LogQuery{Stack: "shop"})); diff != "" {
			b.Errorf("without lines (-want +got):\n%s", diff)
		}
		b.take(b.line(0, "x"))
		want.Lines, want.Bytes, want.First, want.Last = 1, 1, b.start, b.start
		if diff := cmp.Diff([]rhumb.LogCount{want}, b.counts(rhumb.LogQuery{Stack: "shop"})); diff != "" {
			b.Errorf("(-want +got):\n%s", diff)
		}
		if got := b.counts(rhumb.LogQuery{Release: 2}); len(got) != 1 || got[0].Dropped != 1 {
			b.Errorf("of release 2: %+v", got)
		}
	},
}
