package view

import (
	"fmt"
	"io"
	"strings"

	"rhumb/cmd/rhumb/terminal"
)

// Live is a picture that fills a terminal and is drawn again and again.
type Live struct {
	w     io.Writer
	paint paint
}

// NewLive begins a picture on a terminal, which is a Screen. Close ends it.
func NewLive(w io.Writer) *Live {
	l := &Live{w, paintOn(w)}
	l.put(l.code("?1049h"), l.code("?25l")) // another page, without a cursor
	return l
}

// Close brings back what the terminal showed before.
func (l *Live) Close() { l.put(l.code("?25h"), l.code("?1049l")) }

// Usages draws a table with a line above it and one below. It cuts off what has no room.
func (l *Live) Usages(head string, list []Usage, replicas bool, foot string) {
	var text strings.Builder
	usageTable(l.paint, list, replicas).print(&text)
	rows := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	room := max(terminal.Height(l.w)-4, 1) // without head, foot and the lines between
	if len(rows) > room {
		rows = append(rows[:room-1], l.paint.dim(fmt.Sprintf("and %d more", len(rows)-room+1)))
	}
	l.draw(append(append([]string{l.paint.bold(head), ""}, rows...), "", l.paint.dim(foot)))
}

// draw draws lines over the last picture. The terminal may be raw, so a line's end doesn't go back to its beginning.
func (l *Live) draw(lines []string) {
	cols := terminal.Width(l.w)
	var out []string
	for i, line := range lines {
		out = append(out, l.code(fmt.Sprintf("%d;1H", i+1)), cut(line, cols, l.code("0m")), l.code("K"))
	}
	l.put(append(out, l.code("J"))...)
}

func (l *Live) code(c string) string { return l.paint.lead() + c }

func (l *Live) put(parts ...string) {
	_, _ = io.WriteString(l.w, strings.Join(parts, "")) // a terminal that is gone needs no picture
}
