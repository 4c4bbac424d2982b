package view

import (
	"fmt"
	"hash/fnv"
	"io"

	"rhumb"
)

// Log prints log lines, each with its replica's name in its service's colour.
type Log struct {
	W     io.Writer
	Bare  bool // don't show who
	Times bool // show when

	wide int
}

// Expect makes room for a replica's name, so that lines which come before its own stand in one column with them.
func (l *Log) Expect(stack, replica string) { l.wide = max(l.wide, len(shortName(stack, replica))) }

// Write prints a line.
func (l *Log) Write(line rhumb.LogLine) error {
	p, prefix, when := paintOn(l.W), "", ""
	if !l.Bare {
		l.Expect(line.Stack, line.Replica)
		h := fnv.New32a()
		h.Write([]byte(line.Service))
		prefix = p.hue(int(h.Sum32()%uint32(len(hues))), fmt.Sprintf("%-*s |", l.wide, shortName(line.Stack, line.Replica))) + " "
	}
	if l.Times {
		when = p.dim(line.Time.UTC().Format("2006-01-02T15:04:05.000Z")) + " "
	}
	_, err := fmt.Fprintln(l.W, prefix+when+line.Text)
	return err
}
