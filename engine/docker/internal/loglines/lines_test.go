package loglines

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// frame writes one frame of the engine's stream.
func frame(stream byte, content string) string {
	header := [8]byte{0: stream}
	binary.BigEndian.PutUint32(header[4:], uint32(len(content)))
	return string(header[:]) + content
}

const stamp = "2026-11-21T11:00:00.000000001Z "

// readAll reads a whole stream.
func readAll(tty bool, stream string) ([]rhumb.LogLine, error) {
	var lines []rhumb.LogLine
	l := &lineReader{tty: tty, in: bufio.NewReader(strings.NewReader(stream)),
		yield: func(line rhumb.LogLine, _ error) bool {
			lines = append(lines, line)
			return true
		}}
	err := l.run()
	return lines, err
}

func linesOf(ls []rhumb.LogLine) []string {
	var texts []string
	for _, l := range ls {
		texts = append(texts, l.Text)
	}
	return texts
}

func TestPartsOfALineAreJoinedPerStream(t *testing.T) {
	ls, err := readAll(false, frame(1, stamp+"one ")+frame(2, stamp+"err\n")+frame(1, stamp+"line\n")+frame(1,
		stamp+"no end"))
	if err != nil || !slices.Equal(linesOf(ls), []string{"err", "one line", "no end"}) || !ls[0].Stderr || ls[1].Stderr {
		t.Errorf("%+v, %v", ls, err)
	}
	if want := time.Date(2026, 11, 21, 11, 0, 0, 1, time.UTC); !ls[1].Time.Equal(want) {
		t.Errorf("time %v, want %v", ls[1].Time, want)
	}
}

func TestATerminalsLineIsOneThoughTheEngineCutIt(t *testing.T) {
	long := strings.Repeat("x", chunkSize)
	ls, err := readAll(true, stamp+long+stamp+"rest\r\n"+stamp+"next\r\n")
	if err != nil || !slices.Equal(linesOf(ls), []string{long + "rest", "next"}) {
		t.Errorf("%d lines, %v", len(ls), err)
	}
}

func TestALineThatIsTooLongIsSplit(t *testing.T) {
	ls, err := readAll(false, frame(1, stamp+strings.Repeat("x", 2*maxLine+5)+"\n"))
	if err != nil || len(ls) != 3 || len(ls[0].Text) != maxLine || len(ls[1].Text) != maxLine || len(ls[2].Text) != 5 {
		t.Errorf("%d lines, %v", len(ls), err)
	}
}

func TestAStreamThatIsCutOffIsAnErrorAfterItsLines(t *testing.T) {
	ls, err := readAll(false, frame(1, stamp+"one\n")+frame(1, stamp+"two\n")[:20])
	if err == nil || !slices.Equal(linesOf(ls), []string{"one"}) {
		t.Errorf("%q, %v", linesOf(ls), err)
	}
}

func FuzzLogStream(f *testing.F) {
	f.Add(false, []byte(frame(1, stamp+"one\n")+frame(2, "two")))
	f.Add(true, []byte(stamp+"one\r\n"+stamp+"two"))
	f.Fuzz(func(t *testing.T, tty bool, stream []byte) {
		if len(stream) >= 8 && binary.BigEndian.Uint32(stream[4:]) > 1<<20 {
			return // the memory that it may ask for is bounded, but not for a fuzzer's many workers
		}
		ls, _ := readAll(tty, string(stream))
		total := 0
		for _, l := range ls {
			total += len(l.Text)
			if strings.ContainsRune(l.Text, '\n') || len(l.Text) > 3*maxLine {
				t.Errorf("line of %d bytes", len(l.Text))
			}
		}
		if total > 3*len(stream) { // what isn't UTF-8 becomes a sign of three bytes
			t.Errorf("%d bytes from %d", total, len(stream))
		}
	})
}

func TestEmptyLinesAreLines(t *testing.T) {
	ls, err := readAll(false, frame(1, stamp+"\n")+frame(1, stamp+"a\n\nb\n"))
	if err != nil || !slices.Equal(linesOf(ls), []string{"", "a", "", "b"}) {
		t.Errorf("%q, %v", linesOf(ls), err)
	}
	if bytes.Contains([]byte(ls[1].Text), []byte{'\n'}) {
		t.Error("a line's end is in the line")
	}
}
