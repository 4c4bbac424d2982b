package view

import (
	"io"
	"os"

	"rhumb/cmd/rhumb/terminal"
)

// paint colours words for a terminal. The zero value leaves them plain.
type paint struct {
	on     bool
	screen bool // the writer is a Screen
}

// paintOn returns the paint for w. It is plain with NO_COLOR, with TERM=dumb, and if w is not a terminal.
func paintOn(w io.Writer) paint {
	_, screen := w.(*Screen)
	return paint{terminal.Is(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", screen}
}

// lead returns the beginning of a colour code.
func (p paint) lead() string {
	if p.screen {
		return ink
	}
	return "\x1b["
}

func (p paint) code(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return p.lead() + code + "m" + s + p.lead() + "0m"
}

func (p paint) bold(s string) string   { return p.code("1", s) }
func (p paint) dim(s string) string    { return p.code("2", s) }
func (p paint) red(s string) string    { return p.code("31", s) }
func (p paint) green(s string) string  { return p.code("32", s) }
func (p paint) yellow(s string) string { return p.code("33", s) }
func (p paint) cyan(s string) string   { return p.code("36", s) }

// hues are the colours of services.
var hues = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

func (p paint) hue(n int, s string) string { return p.code(hues[n%len(hues)], s) }
