package parse

import (
	"strings"
	"time"

	"rhumb"
)

// Limits of what is joined to one line.
const (
	maxJoined     = 1000      // lines
	maxJoinedSize = 256 << 10 // bytes
	maxJoinedTime = 5 * time.Second
	maxReady      = 64 // lines that wait for an earlier one
)

// The time between two lines that may be joined. It is taken from the lines, not from a clock, so that the same lines
// are joined whenever they are read.
const (
	lineGap  = 50 * time.Millisecond  // before the first line of a trace
	traceGap = 100 * time.Millisecond // within a trace
)

// Traces joins the lines of stack traces, of one container. Each stream is joined alone. The lines of a joined line are
// all in its Text, as they were. The zero value is ready.
type Traces struct {
	held  [2]trace
	ready []Line // complete, but later than a line that is held; in the order of At
}

// trace is a line that the next one may belong to.
type trace struct {
	open  bool
	state state
	line  Line
	last  time.Time // of its last line
	lines int
	text  []byte // of all lines, if there are several
}

// Add adds a line, and appends to out the lines that are complete.
func (t *Traces) Add(l Line, out []Line) []Line {
	s := &t.held[stream(l.Stderr)]
	if s.open {
		if s.accepts(&l) {
			s.join(&l)
			return out
		}
		t.put(s.close())
	}
	if alone(&l) {
		t.put(l)
	} else {
		s.begin(l)
	}
	return t.release(out)
}

// Begun returns where and when the earliest line begins that Add has not returned; false if there is none.
func (t *Traces) Begun() (at int64, since time.Time, ok bool) {
	for i := range t.held {
		if s := &t.held[i]; s.open && (!ok || s.line.At < at) {
			at, since, ok = s.line.At, s.line.Time, true
		}
	}
	if len(t.ready) > 0 && (!ok || t.ready[0].At < at) {
		return t.ready[0].At, t.ready[0].Time, true
	}
	return at, since, ok
}

// Deadline returns the time from which a line that is held can't be joined to a further line; false if none is held.
func (t *Traces) Deadline() (time.Time, bool) {
	var first time.Time
	for i := range t.held {
		if s := &t.held[i]; s.open {
			if d := s.last.Add(s.gap()); first.IsZero() || d.Before(first) {
				first = d
			}
		}
	}
	return first, !first.IsZero()
}

// Flush appends to out the lines that are complete because no further line has come up to a time.
func (t *Traces) Flush(until time.Time, out []Line) []Line {
	for i := range t.held {
		if s := &t.held[i]; s.open && !until.Before(s.last.Add(s.gap())) {
			t.put(s.close())
		}
	}
	return t.release(out)
}

// FlushAll appends to out all lines that are left.
func (t *Traces) FlushAll(out []Line) []Line {
	for i := range t.held {
		if s := &t.held[i]; s.open {
			t.put(s.close())
		}
	}
	return t.release(out)
}

// put adds a complete line to those that are ready.
func (t *Traces) put(l Line) {
	t.ready = append(t.ready, l)
	for i := len(t.ready) - 1; i > 0 && t.ready[i].At < t.ready[i-1].At; i-- {
		t.ready[i], t.ready[i-1] = t.ready[i-1], t.ready[i]
	}
}

// release appends to out the lines that are ready, up to the first that is held, and more if too many wait for it.
func (t *Traces) release(out []Line) []Line {
	at, held := t.heldSince()
	n := 0
	for n < len(t.ready) && (!held || t.ready[n].At < at || len(t.ready)-n > maxReady) {
		n++
	}
	out = append(out, t.ready[:n]...)
	rest := copy(t.ready, t.ready[n:])
	clear(t.ready[rest:])
	t.ready = t.ready[:rest]
	return out
}

func (t *Traces) heldSince() (int64, bool) {
	a, b := &t.held[0], &t.held[1]
	switch {
	case !a.open:
		return b.line.At, b.open
	case !b.open:
		return a.line.At, true
	}
	return min(a.line.At, b.line.At), true
}

// alone reports whether a line neither begins nor continues a trace.
func alone(l *Line) bool {
	return l.Text == "" || l.Text[0] == '{' && l.Text[len(l.Text)-1] == '}' || l.Cut > 0 || l.Fields != nil ||
		len(l.Text) >= maxJoinedSize
}

func (s *trace) begin(l Line) {
	*s = trace{open: true, line: l, last: l.Time, lines: 1, text: s.text[:0], state: header(plain(l.Text, shapeSize))}
}

// shapeSize is how much of a line is looked at to recognise it.
const shapeSize = 4 << 10

// gap returns how long after its last line a further line may come.
func (s *trace) gap() time.Duration {
	if s.state == statePlain {
		return lineGap
	}
	return traceGap
}

// accepts reports whether a line continues the trace, and moves to the next state if it does.
func (s *trace) accepts(l *Line) bool {
	switch {
	case l.Cut > 0, l.Fields != nil, s.lines >= maxJoined, len(s.text)+len(l.Text) >= maxJoinedSize,
		l.Time.Sub(s.last) > s.gap(), l.Time.Sub(s.line.Time) > maxJoinedTime:
		return false
	case s.state == statePlain && !mayContinue(l.Text):
		return false
	}
	next, ok := s.state.next(s, plain(l.Text, shapeSize))
	if ok {
		s.state = next
	}
	return ok
}

func (s *trace) join(l *Line) {
	if s.lines == 1 {
		s.text = append(s.text[:0], s.line.Text...)
	}
	s.text = append(append(s.text, '\n'), l.Text...)
	s.lines++
	s.last, s.line.End = l.Time, l.End
}

func (s *trace) close() Line {
	l := s.line
	if s.lines > 1 {
		l.Text = string(s.text)
	}
	s.open, s.line = false, Line{}
	if cap(s.text) > 64<<10 {
		s.text = nil
	}
	return l
}

// serious reports whether the trace's first line has at least a level.
func (s *trace) serious(least rhumb.Level) bool {
	return textLevel(plain(s.line.Text, levelBytes)) >= least
}

// mayContinue reports whether a line could be the first that continues another one. It is fast, and true too often.
func mayContinue(text string) bool {
	if text == "" {
		return false
	}
	switch text[0] {
	case ' ', '\t', 0x1b:
		return true
	case '#', '[', 'C', 'S', 'P', 'T', 'g', 's':
		return true
	}
	return throwable(text) || strings.Contains(text[:min(len(text), 200)], ".rb:")
}
