package observetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"rhumb"
)

var followTests = map[string]func(*bench){
	"old lines come before new ones": func(b *bench) {
		b.take(b.line(0, "old"))
		ctx, cancel := b.within()
		defer cancel()
		var got []string
		for l, err := range b.Lines(ctx, rhumb.LogQuery{LogOptions: rhumb.LogOptions{Follow: true}, Grep: "o|n"}) {
			if err != nil {
				b.Fatal(err)
			}
			got = append(got, l.Text)
			switch len(got) {
			case 1:
				other := b.line(2*time.Second, "on")
				other.Stack = "blog"
				b.take(b.line(3*time.Second, "new"), b.line(2*time.Second, "skip"), other)
				b.take(b.line(time.Second, "one late"))
			case 4:
				cancel()
			}
			if len(got) == 4 {
				break
			}
		}
		if want := []string{"old", "new", "on", "one late"}; !slices.Equal(got, want) {
			b.Errorf("got %q, want %q", got, want)
		}
	},
	"the end of the context ends the sequence": func(b *bench) {
		b.take(b.line(0, "old"))
		ctx, cancel := b.within()
		n := 0
		for _, err := range b.Lines(ctx, rhumb.LogQuery{LogOptions: rhumb.LogOptions{Follow: true}}) {
			if cancel(); n > 1 || err != nil && n == 0 {
				b.Fatalf("after %d: %v, want a line and then the end", n, err)
			}
			n++
		}
	},
	"a new line arrives within 200 ms": func(b *bench) {
		b.take(b.line(0, "old"))
		ctx, cancel := b.within()
		defer cancel()
		var at time.Time
		n := 0
		for _, err := range b.Lines(ctx, rhumb.LogQuery{LogOptions: rhumb.LogOptions{Follow: true}, Query: "old"}) {
			if err != nil {
				b.Fatal(err)
			}
			if took := time.Since(at); n > 0 && took > 200*time.Millisecond {
				b.Errorf("line %d arrived after %s", n, took)
			}
			if n++; n > 20 {
				break
			}
			at = time.Now()
			b.take(b.line(0, "old no more"))
		}
	},
	"followers lose and repeat nothing": func(b *bench) {
		const writers, lines, followers = 3, 400, 6
		b.take(b.line(0, "first"))
		ctx, cancel := b.within()
		defer cancel()
		var work sync.WaitGroup
		for f := range followers {
			work.Go(func() { b.follow(ctx, f, writers*lines+1) })
		}
		for w := range writers {
			work.Go(func() {
				for _, l := range b.numbered(fmt.Sprint("c", w), lines) {
					if n, err := b.Append(ctx, []rhumb.LogLine{l}); n != 1 || err != nil {
						b.Errorf("%d lines were taken: %v", n, err)
					}
				}
			})
		}
		work.Wait()
	},
}

// follow reads lines until it has a number of them: each must come once, and in the order of its container.
func (b *bench) follow(ctx context.Context, follower, want int) {
	last, n := map[string]int{}, 0
	for l, err := range b.Lines(ctx, rhumb.LogQuery{LogOptions: rhumb.LogOptions{Follow: true}}) {
		if err != nil {
			b.Errorf("follower %d, after %d lines of %d: %v", follower, n, want, err)
			return
		}
		var container string
		var number int
		if _, err := fmt.Sscan(l.Text, &container, &number); err == nil {
			if number != last[container] {
				b.Errorf("follower %d: line %d of %s, want %d", follower, number, container, last[container])
				return
			}
			last[container] = number + 1
		}
		if n++; n == want {
			return
		}
	}
}
