// Package view is what people see: a deployment as it goes on, tables, plans, failures. Only here is anything coloured.
package view

import (
	"io"
	"os"

	"golang.org/x/term"
)

// paint colours words for a terminal; the zero value leaves them plain.
type paint struct{ on bool }

// paintOn tells how to write to w. NO_COLOR, TERM=dumb and anything that isn't a terminal get plain words.
func paintOn(w io.Writer) paint {
	return paint{Terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p paint) code(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
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

// Terminal tells whether a stream is one.
func Terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width gives a terminal's columns, or 80.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil && cols > 0 {
			return cols
		}
	}
	return 80
}

// height gives a terminal's rows, or 24.
func height(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if _, rows, err := term.GetSize(int(f.Fd())); err == nil && rows > 0 {
			return rows
		}
	}
	return 24
}
