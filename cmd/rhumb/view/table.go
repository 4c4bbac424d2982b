package view

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table prints rows in columns. A cell may be coloured.
type table struct {
	paint paint
	rows  [][]cell
}

type cell struct {
	text string
	code string // the colour; "": none
}

func plain(words ...string) []cell {
	cs := make([]cell, len(words))
	for i, w := range words {
		cs[i].text = w
	}
	return cs
}

func newTable(p paint, heads ...string) *table {
	t := &table{paint: p}
	t.add(plain(heads...)...)
	return t
}

func (t *table) add(cs ...cell) { t.rows = append(t.rows, cs) }

func (t *table) print(w io.Writer) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			c.text = OneLine(c.text)
			row[i] = c
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range t.rows {
		var b strings.Builder
		for i, c := range row {
			text := c.text
			if c.code != "" {
				text = t.paint.code(c.code, text)
			}
			b.WriteString(text)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+3))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
