package logstore

import (
	"log/slog"
	"testing"
	"time"

	"rhumb"
)

func TestAClosedSegmentKnowsItsLastLines(t *testing.T) {
	s, err := Open(t.TempDir(), 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 4; n++ {
		l := rhumb.LogLine{Time: time.Now(), Stack: "shop", Text: "x"}
		if _, err := s.Append(t.Context(), []rhumb.LogLine{l}); err != nil {
			t.Fatal(err)
		}
		if !s.stacks["shop"].clean(0) {
			t.Fatal("no segment was closed")
		}
		found := 0
		for _, err := range s.Lines(t.Context(), rhumb.LogQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			found++
		}
		if i := s.stacks["shop"].segments[0].look(); found != n || i.Last != l.Time.UnixNano() {
			t.Errorf("%d lines until %d, want %d until %d", found, i.Last, n, l.Time.UnixNano())
		}
		if !s.stacks["shop"].clean(0) {
			t.Fatal("no segment was closed")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
