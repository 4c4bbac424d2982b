// Package observetest is the contract of a store of lines as tests: observe.Sink, and what rhumb.Observer reads of what
// it took. Every store passes them, the fake first.
package observetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/observe"
)

// Store keeps lines and reads them.
type Store interface {
	observe.Sink
	rhumb.Observer
}

// bench is what one test works on.
type bench struct {
	*testing.T
	Store
	start time.Time // of the test's lines: an hour ago
}

// Run runs the contract's tests, each with a new, empty store.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, tests := range []map[string]func(*bench){appendTests, queryTests, countTests, followTests} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				test(&bench{t, open(t), time.Now().UTC().Add(-time.Hour)})
			})
		}
	}
}

// line returns a line of the service web of the stack shop, some time after the start.
func (b *bench) line(after time.Duration, text string) rhumb.LogLine {
	return rhumb.LogLine{
		Time: b.start.Add(after), Stack: "shop", Service: "web", Replica: "shop-web-1", Container: "c1", Release: 1,
		Text: text,
	}
}

// take appends lines, all of which must be taken.
func (b *bench) take(lines ...rhumb.LogLine) {
	b.Helper()
	if n, err := b.Append(b.Context(), lines); n != len(lines) || err != nil {
		b.Fatalf("%d lines of %d were taken: %v", n, len(lines), err)
	}
}

// read returns the lines that a query chooses.
func (b *bench) read(q rhumb.LogQuery) []rhumb.LogLine {
	b.Helper()
	var lines []rhumb.LogLine
	for l, err := range b.Lines(b.Context(), q) {
		if err != nil {
			b.Fatalf("%+v: %v", q, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// texts returns the texts of lines.
func texts(lines []rhumb.LogLine) []string {
	list := []string{}
	for _, l := range lines {
		list = append(list, l.Text)
	}
	return list
}

// want fails unless a query chooses the lines with these texts, in this order.
func (b *bench) want(q rhumb.LogQuery, want ...string) {
	b.Helper()
	if diff := cmp.Diff(append([]string{}, want...), texts(b.read(q))); diff != "" {
		b.Errorf("%+v (-want +got):\n%s", q, diff)
	}
}

// refuses fails unless a query is refused with a code, by both readers.
func (b *bench) refuses(q rhumb.LogQuery, code rhumb.Code) {
	b.Helper()
	var errs []error
	for _, err := range b.Lines(b.Context(), q) {
		errs = append(errs, err)
	}
	if len(errs) != 1 || rhumb.ErrorCode(errs[0]) != code {
		b.Errorf("Lines of %+v: %v, want one error of code %s", q, errs, code)
	}
	if _, err := b.LogCounts(b.Context(), q); rhumb.ErrorCode(err) != code {
		b.Errorf("LogCounts of %+v: %v, want code %s", q, err, code)
	}
}

// since returns the lines of a container from a time on.
func (b *bench) since(container string, from time.Time) []rhumb.LogLine {
	b.Helper()
	var lines []rhumb.LogLine
	err := b.Since(b.Context(), container, from, func(l rhumb.LogLine) bool {
		lines = append(lines, l)
		return true
	})
	if err != nil {
		b.Fatal(err)
	}
	return lines
}

// numbered returns n lines of a container in the order of their numbers, a millisecond apart.
func (b *bench) numbered(container string, n int) []rhumb.LogLine {
	lines := make([]rhumb.LogLine, n)
	for i := range lines {
		lines[i] = b.line(time.Duration(i)*time.Millisecond, fmt.Sprintf("%s %d", container, i))
		lines[i].Container = container
	}
	return lines
}

// within returns a context that ends the test's waiting after a while.
func (b *bench) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.Context(), 30*time.Second)
}
