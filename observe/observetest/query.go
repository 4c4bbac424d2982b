package observetest

import (
	"slices"
	"time"

	"rhumb"
)

// shop appends lines of two stacks, two services and three containers.
func (b *bench) shop() {
	add := func(second int, text string, change func(*rhumb.LogLine)) {
		l := b.line(time.Duration(second)*time.Second, text)
		change(&l)
		b.take(l)
	}
	old := func(l *rhumb.LogLine) { l.Replica, l.Container = "shop-web-old", "0123abcd" }
	db := func(l *rhumb.LogLine) {
		l.Service, l.Replica, l.Container, l.Release, l.Stderr = "db", "shop-db-1", "c2", 2, true
	}
	level := func(level rhumb.Level) func(*rhumb.LogLine) { return func(l *rhumb.LogLine) { l.Level = level } }
	add(3, "error three", level(rhumb.LevelError))
	add(1, "one", old)
	add(2, "two", db)
	add(5, "five GET /path?x=(1)", func(l *rhumb.LogLine) { l.Kind = rhumb.LineAccess })
	add(4, "warning four", level(rhumb.LevelWarn))
	add(6, "six", func(l *rhumb.LogLine) { l.Stack = "blog" })
	add(7, "seven", func(l *rhumb.LogLine) { l.Kind, l.Container = rhumb.LineEvent, "rhumb:event" })
	add(8, "eight", func(l *rhumb.LogLine) {
		l.Kind, l.Stack, l.Service, l.Replica = rhumb.LineProxy, "", "rhumb", "proxy"
	})
}

var queryTests = map[string]func(*bench){
	"a query chooses lines": func(b *bench) {
		b.shop()
		at := func(second int) time.Time { return b.start.Add(time.Duration(second) * time.Second) }
		kinds := func(ks ...rhumb.LineKind) []rhumb.LineKind { return ks }
		one, two, three := "one", "two", "error three"
		four, five, six := "warning four", "five GET /path?x=(1)", "six"
		for _, c := range []struct {
			q    rhumb.LogQuery
			want []string
		}{
			{rhumb.LogQuery{}, []string{one, two, three, four, five, six}},
			{rhumb.LogQuery{Stack: "shop"}, []string{one, two, three, four, five}},
			{rhumb.LogQuery{Stack: "blog"}, []string{six}},
			{rhumb.LogQuery{Services: []string{"db"}}, []string{two}},
			{rhumb.LogQuery{Services: []string{"db", "web"}, Stack: "blog"}, []string{six}},
			{rhumb.LogQuery{Services: []string{"d", "b", `db" or *`}}, nil},
			{rhumb.LogQuery{Replica: "shop-web-old"}, []string{one}},
			{rhumb.LogQuery{Replica: "0123"}, []string{one}},
			{rhumb.LogQuery{Replica: "shop-web"}, nil},
			{rhumb.LogQuery{Replica: "123"}, nil},
			{rhumb.LogQuery{Release: 2}, []string{two}},
			{rhumb.LogQuery{Release: 3}, nil},
			{rhumb.LogQuery{Kinds: kinds(rhumb.LineAccess)}, []string{five}},
			{rhumb.LogQuery{Kinds: kinds(rhumb.LineOutput)}, []string{one, two, three, four, six}},
			{rhumb.LogQuery{Kinds: kinds(rhumb.LineOutput), Stack: "blog"}, []string{six}},
			{rhumb.LogQuery{Kinds: kinds(rhumb.LineProxy, rhumb.LineEvent)}, []string{"seven", "eight"}},
			{rhumb.LogQuery{Kinds: kinds(rhumb.LineProxy, rhumb.LineEvent), Stack: "shop"}, []string{"seven"}},
			{rhumb.LogQuery{Kinds: kinds(rhumb.LineDaemon)}, nil},
			{rhumb.LogQuery{Stream: "stderr"}, []string{two}},
			{rhumb.LogQuery{Stream: "stdout", Stack: "shop"}, []string{one, three, four, five}},
			{rhumb.LogQuery{Level: rhumb.LevelWarn}, []string{three, four}},
			{rhumb.LogQuery{Level: rhumb.LevelError}, []string{three}},
			{rhumb.LogQuery{Grep: "ne|wo|ou"}, []string{one, two, four}},
			{rhumb.LogQuery{Grep: "^(o|f).*(e|\\))$"}, []string{one, five}},
			{rhumb.LogQuery{Grep: "(?i)ERROR"}, []string{three}},
			{rhumb.LogQuery{Grep: `x=\(1\)`}, []string{five}},
			{rhumb.LogQuery{Grep: `"`}, nil},
			{rhumb.LogQuery{Grep: "^$"}, nil},
			{rhumb.LogQuery{Query: "error"}, []string{three}},
			{rhumb.LogQuery{Query: "error", Level: rhumb.LevelFatal}, nil},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Since: at(5)}}, []string{five, six}},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Until: at(2)}}, []string{one, two}},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Since: at(2), Until: at(2)}}, []string{two}},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Since: at(3), Until: at(2)}}, nil},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 2}}, []string{five, six}},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 100}, Stack: "blog"}, []string{six}},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: -1}}, nil},
			{rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 2}, Stack: "shop"}, []string{four, five}},
			{rhumb.LogQuery{Grep: "four", Around: 1}, []string{three, four, five}},
			{rhumb.LogQuery{Grep: "four|three", Around: 9}, []string{three, four, five}},
			{rhumb.LogQuery{Grep: "^one", Around: 1}, []string{one}},
		} {
			b.want(c.q, c.want...)
		}
	},
	"a query that can't be read is invalid": func(b *bench) {
		b.shop()
		for _, q := range []rhumb.LogQuery{
			{Grep: "("}, {Grep: `\8`}, {Query: "("}, {Query: `"`}, {Stream: "stdin"},
			{Kinds: []rhumb.LineKind{"other"}}, {Level: 99}, {Level: -1},
		} {
			b.refuses(q, rhumb.Invalid)
		}
	},
	"a stack of which nothing is kept is not found": func(b *bench) {
		b.refuses(rhumb.LogQuery{Stack: "shop"}, rhumb.NotFound)
		b.take(b.line(0, "one"))
		b.want(rhumb.LogQuery{Stack: "shop"}, "one")
		b.refuses(rhumb.LogQuery{Stack: "blog"}, rhumb.NotFound)
		b.want(rhumb.LogQuery{Services: []string{"none"}})
	},
	"many lines come oldest first": func(b *bench) {
		var all []rhumb.LogLine
		for c := range 7 {
			lines := b.numbered(string(rune('a'+c)), 2000)
			for i := range lines {
				lines[i].Time = lines[i].Time.Add(time.Duration(c) * 100 * time.Microsecond)
				lines[i].Stack = []string{"shop", "blog"}[c%2]
			}
			all = append(all, lines...)
			b.take(lines...)
		}
		slices.SortStableFunc(all, func(x, y rhumb.LogLine) int { return x.Time.Compare(y.Time) })
		want := texts(all)
		b.want(rhumb.LogQuery{}, want...)
		b.want(rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 3000}}, want[len(want)-3000:]...)
		for l, err := range b.Lines(b.Context(), rhumb.LogQuery{}) {
			if err != nil || l.Text != want[0] {
				b.Errorf("the first line is %q: %v", l.Text, err)
			}
			break
		}
	},
	"lines around a hit are those of the same replica": func(b *bench) {
		for i, text := range []string{"a1", "b1", "a2", "b2", "hit a", "b3", "a3", "b4", "a4", "a5"} {
			l := b.line(time.Duration(i)*time.Second, text)
			if text[len(text)-1] != 'a' && text[0] == 'b' {
				l.Container, l.Replica = "c2", "shop-web-2"
			}
			l.Stderr = i%2 == 0
			b.take(l)
		}
		b.want(rhumb.LogQuery{Grep: "hit", Around: 1}, "a2", "hit a", "a3")
		b.want(rhumb.LogQuery{Grep: "hit", Around: 2, Stream: "stderr"}, "a1", "a2", "hit a", "a3", "a4")
		b.want(rhumb.LogQuery{Grep: "hit|a4", Around: 1}, "a2", "hit a", "a3", "a4", "a5")
		b.want(rhumb.LogQuery{Grep: "hit|a4", Around: 1, LogOptions: rhumb.LogOptions{Tail: 1}}, "a3", "a4", "a5")
	},
}
