// Package view is what people see: a deployment as it goes on, tables, plans, failures. Only here is anything coloured.
package view

import (
	"io"
	"os"

	"rhumb/cmd/rhumb/terminal"
)

// paint colours words for a terminal; the zero value leaves them plain.
type paint struct {
	on     bool
	screen bool // what is painted goes to a Screen
}

// paintOn returns how to write to w. NO_COLOR, TERM=dumb and anything that isn't a terminal get plain words.
func paintOn(w io.Writer) paint {
	_, screen := w.(*Screen)
	return paint{terminal.Is(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", screen}
}

// lead begins a code.
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

// hues tell services apart.
var hues = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}

func (p paint) hue(n int, s string) string { return p.code(hues[n%len(hues)], s) }
