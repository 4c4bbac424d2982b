package parse

import (
	"strings"
	"testing"
	"time"
)

func TestThePiecesOfALineAreJoinedByStream(t *testing.T) {
	at := time.Unix(1, 0)
	var ls Lines
	add := func(text string, stderr, ended bool, at64 int64) (Line, bool) {
		return ls.Add(Piece{Time: at, Text: []byte(text), Stderr: stderr, Ended: ended}, at64)
	}
	if _, ok := add("one ", false, false, 10); ok {
		t.Fatal("a part is a line")
	}
	if l, ok := add("whole", true, true, 20); !ok || l.Text != "whole" || l.At != 20 || !l.Stderr {
		t.Fatalf("%+v", l)
	}
	if at, _, ok := ls.Begun(); !ok || at != 10 {
		t.Fatalf("begun at %d, %v", at, ok)
	}
	if l, ok := add("line", false, true, 30); !ok || l.Text != "one line" || l.At != 10 || l.Stderr {
		t.Fatalf("%+v", l)
	}
	if _, _, ok := ls.Begun(); ok {
		t.Error("something is left")
	}
	add("never ", true, false, 40)
	add("ended", false, false, 50)
	if left := ls.Flush(); len(left) != 2 || left[0].Text != "never " || left[1].Text != "ended" {
		t.Errorf("left: %+v", left)
	}
}

func TestALineThatIsTooLongIsCut(t *testing.T) {
	var ls Lines
	piece := []byte(strings.Repeat("x", 16<<10))
	for range 70 {
		ls.Add(Piece{Text: piece}, 0)
	}
	l, ok := ls.Add(Piece{Text: []byte("end"), Ended: true}, 0)
	if !ok || len(l.Text) != MaxLine || l.Cut != 70*16<<10+3-MaxLine {
		t.Errorf("%d bytes, %d cut", len(l.Text), l.Cut)
	}
	l, ok = ls.Add(Piece{Text: []byte(strings.Repeat("x", MaxLine+1)), Ended: true}, 0)
	if !ok || len(l.Text) != MaxLine || l.Cut != 1 {
		t.Errorf("in one piece: %d bytes, %d cut", len(l.Text), l.Cut)
	}
}

func TestABrokenLineIsKeptWithAMark(t *testing.T) {
	var ls Lines
	at := time.Unix(7, 0)
	ls.Add(Piece{Time: at, Text: []byte("a"), Ended: true}, 0)
	l, ok := ls.Add(Piece{Text: []byte(`{"lo`), Ended: true, Broken: true}, 5)
	if !ok || l.Text != `{"lo` || !l.Time.Equal(at) || l.Fields[brokenField] == "" || l.At != 5 {
		t.Errorf("%+v", l)
	}
}
