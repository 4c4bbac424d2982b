package docker

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"rhumb"
)

func TestTheLinesOfAHookAreWholeHoweverTheyArrive(t *testing.T) {
	long := strings.Repeat("x", maxHookLine)
	text := "one\r\n\ntwo\n" + long + "yz\nlast"
	want := []string{"one", "", "two", long, "yz", "last"}
	for _, size := range []int{1, 7, 4096, len(text)} {
		var got []string
		var passed bytes.Buffer
		h := newHookLines(rhumb.Replica{}, true, &passed, func(l rhumb.LogLine) {
			got = append(got, l.Text)
			if l.Time.IsZero() || !l.Stderr || l.Kind != rhumb.LineHook {
				t.Errorf("a line is %+v", l)
			}
		})
		for part := range slices.Chunk([]byte(text), size) {
			if n, err := h.Write(part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		h.end()
		if passed.String() != text {
			t.Errorf("in parts of %d: passed on are %d bytes of %d", size, passed.Len(), len(text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("in parts of %d: %d lines", size, len(got))
		}
	}
}
