package view

import (
	"crypto/rand"
	"io"
	"regexp"
	"strings"

	"rhumb/cmd/rhumb/terminal"
)

// ink is the beginning of rhumb's own colour codes on a Screen. It is random, so that no text from a file, server or
// engine can contain it.
var ink = "\x1b" + rand.Text() + "["

// Screen is a stream that people read. It removes control characters and escape sequences from everything written to
// it, except line ends, tabs, and the colours of paint. Data and the output of applications do not go through a
// Screen.
type Screen struct {
	w      io.Writer
	colour bool
}

// NewScreen returns a screen that writes to w.
func NewScreen(w io.Writer) *Screen { return &Screen{w, terminal.Is(w)} }

// Unwrap returns the underlying stream.
func (s *Screen) Unwrap() io.Writer { return s.w }

// Write writes text. It keeps the colours of paint if the stream is a terminal.
func (s *Screen) Write(p []byte) (int, error) {
	var out strings.Builder
	for i, part := range strings.Split(string(p), ink) {
		if i > 0 {
			end := strings.IndexFunc(part, func(r rune) bool { return r >= '@' }) + 1
			if s.colour {
				out.WriteString("\x1b[" + part[:end])
			}
			part = part[end:]
		}
		out.WriteString(Plain(part))
	}
	if _, err := io.WriteString(s.w, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// sequences matches escape sequences: those with parameters, those with text up to a terminator, and short ones.
var sequences = regexp.MustCompile("(\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]|" +
	"(\x1b[\\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\x07\x1b\u009c\n]*(\x07|\x1b\\\\|\u009c)?|" +
	"\x1b[ -/]*[0-~]")

// Plain returns a text without control characters and escape sequences. Line ends and tabs stay.
func Plain(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if !strings.ContainsFunc(s, control) {
		return s
	}
	s = strings.ReplaceAll(sequences.ReplaceAllString(s, ""), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return ' ' // a line that was redrawn in place
		case control(r):
			return -1
		}
		return r
	}, s)
}

// control reports whether a terminal may obey a character, or treat it as part of an escape sequence.
func control(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}

// OneLine returns a text without control characters, line ends and tabs.
func OneLine(s string) string {
	return Plain(strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ").Replace(s))
}
