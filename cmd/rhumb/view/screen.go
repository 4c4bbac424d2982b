package view

import (
	"crypto/rand"
	"io"
	"regexp"
	"strings"

	"rhumb/cmd/rhumb/terminal"
)

// ink begins the codes of rhumb's own colours on a Screen. It is random: no file, server or engine can write with it.
var ink = "\x1b" + rand.Text() + "["

// Screen is where people read. It takes control characters and escape sequences out of all that is written to it, but for
// line ends, tabs, and what paint writes. Data and what applications write themselves go past it.
type Screen struct {
	w      io.Writer
	colour bool
}

// NewScreen makes a screen of a stream.
func NewScreen(w io.Writer) *Screen { return &Screen{w, terminal.Is(w)} }

// Unwrap returns the stream.
func (s *Screen) Unwrap() io.Writer { return s.w }

// Write writes text, with the codes of paint if the stream is a terminal.
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

// sequences matches what terminals take for orders: with parameters, with text up to its end, and short ones.
var sequences = regexp.MustCompile("(\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]|" +
	"(\x1b[\\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\x07\x1b\u009c\n]*(\x07|\x1b\\\\|\u009c)?|" +
	"\x1b[ -/]*[0-~]")

// Plain returns a text without control characters and escape sequences, but with its line ends and tabs.
func Plain(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if !strings.ContainsFunc(s, orders) {
		return s
	}
	s = strings.ReplaceAll(sequences.ReplaceAllString(s, ""), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return ' ' // a line that was written over and over
		case orders(r):
			return -1
		}
		return r
	}, s)
}

// orders reports whether a terminal may take a character for an order, or for a piece of one.
func orders(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
}

// OneLine returns a text without control characters, line ends and tabs.
func OneLine(s string) string {
	return Plain(strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ").Replace(s))
}
