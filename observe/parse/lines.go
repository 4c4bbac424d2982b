package parse

import (
	"time"

	"rhumb"
)

// MaxLine is how many bytes of a line are kept. The rest is cut, and counted in LogLine.Cut.
const MaxLine = 1 << 20

// Line is a line of a container, or several that belong together.
type Line struct {
	rhumb.LogLine
	At  int64 // where its first piece begins: a number of the caller's that grows
	End int64 // where its last piece begins
}

// Lines joins the pieces of one container's lines. The zero value is ready.
type Lines struct {
	parts [2]part // of standard output and of standard error
	last  time.Time
}

// part is a line whose end has not come.
type part struct {
	begun bool
	at    int64
	last  int64 // where its last piece so far begins
	time  time.Time
	text  []byte
	cut   int
}

// brokenField marks a line whose file could not be read.
const brokenField = "rhumb.broken"

// Add adds a piece that begins at a place, and returns the line that it completes. The line has a Time, Stderr, Text
// and Cut; a broken piece is a line with a field that says so, and with the time of the piece before it.
func (ls *Lines) Add(p Piece, at int64) (Line, bool) {
	if p.Broken {
		l := rhumb.LogLine{Time: ls.last, Text: string(p.Text[:min(len(p.Text), MaxLine)]), Cut: max(0, len(p.Text)-MaxLine),
			Fields: map[string]string{brokenField: "true"}}
		return Line{l, at, at}, true
	}
	ls.last = p.Time
	s := &ls.parts[stream(p.Stderr)]
	if p.Ended && !s.begun {
		if len(p.Text) > MaxLine {
			s.begin(p, at)
			return s.end(p.Stderr, at), true
		}
		return Line{rhumb.LogLine{Time: p.Time, Stderr: p.Stderr, Text: string(p.Text)}, at, at}, true
	}
	if !s.begun {
		s.begin(p, at)
	} else {
		s.add(p.Text)
		s.last = at
	}
	if !p.Ended {
		return Line{}, false
	}
	return s.end(p.Stderr, at), true
}

// SetLast sets the time of the piece before the first.
func (ls *Lines) SetLast(t time.Time) { ls.last = t }

// Begun returns where and when the earliest line begins whose end has not come; false if there is none.
func (ls *Lines) Begun() (at int64, since time.Time, ok bool) {
	for i := range ls.parts {
		if s := &ls.parts[i]; s.begun && (!ok || s.at < at) {
			at, since, ok = s.at, s.time, true
		}
	}
	return at, since, ok
}

// Flush returns the lines whose end has not come. The next piece begins another line.
func (ls *Lines) Flush() []Line {
	var lines []Line
	for i := range ls.parts {
		if ls.parts[i].begun {
			lines = append(lines, ls.parts[i].end(i == 1, ls.parts[i].last))
		}
	}
	if len(lines) == 2 && lines[1].At < lines[0].At {
		lines[0], lines[1] = lines[1], lines[0]
	}
	return lines
}

func (s *part) begin(p Piece, at int64) {
	s.begun, s.at, s.last, s.time, s.cut, s.text = true, at, at, p.Time, 0, s.text[:0]
	s.add(p.Text)
}

func (s *part) add(text []byte) {
	n := min(len(text), MaxLine-len(s.text))
	s.text = append(s.text, text[:n]...)
	s.cut += len(text) - n
}

func (s *part) end(stderr bool, last int64) Line {
	l := Line{rhumb.LogLine{Time: s.time, Stderr: stderr, Text: string(s.text), Cut: s.cut}, s.at, last}
	s.begun = false
	if cap(s.text) > 64<<10 {
		s.text = nil // few lines are so long
	}
	return l
}

func stream(stderr bool) int {
	if stderr {
		return 1
	}
	return 0
}
