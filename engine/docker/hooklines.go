package docker

import (
	"bytes"
	"io"
	"time"

	"rhumb"
)

// maxHookLine is how many bytes a line has at most. The rest is another line.
const maxHookLine = 64 << 10

// hookLines passes on what a hook writes on one stream, and calls each for each line of it.
type hookLines struct {
	to   io.Writer // nil: it isn't passed on
	each func(rhumb.LogLine)
	line rhumb.LogLine // what all lines have
	rest []byte        // of a line whose end has not come
}

func newHookLines(r rhumb.Replica, stderr bool, to io.Writer, each func(rhumb.LogLine)) *hookLines {
	line := rhumb.LogLine{Stack: r.Stack, Service: r.Service, Replica: r.Name(), Release: r.Release, Container: r.ID,
		Stderr: stderr, Kind: rhumb.LineHook}
	return &hookLines{to: to, each: each, line: line}
}

// Write takes a part of the stream.
func (h *hookLines) Write(b []byte) (int, error) {
	h.rest = append(h.rest, b...)
	for {
		n := bytes.IndexByte(h.rest, '\n')
		if n < 0 && len(h.rest) < maxHookLine {
			break
		}
		if n < 0 || n > maxHookLine {
			h.pass(h.rest[:maxHookLine])
			h.rest = h.rest[maxHookLine:]
			continue
		}
		h.pass(bytes.TrimSuffix(h.rest[:n], []byte{'\r'}))
		h.rest = h.rest[n+1:]
	}
	if h.to == nil {
		return len(b), nil
	}
	return h.to.Write(b)
}

// end passes on a last line without an end.
func (h *hookLines) end() {
	if len(h.rest) > 0 {
		h.pass(h.rest)
	}
}

func (h *hookLines) pass(text []byte) {
	l := h.line
	l.Time, l.Text = time.Now().UTC(), string(text)
	h.each(l)
}
