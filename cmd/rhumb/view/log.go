package view

import (
	"fmt"
	"hash/fnv"
	"io"

	"rhumb"
)

// Log prints log lines. Each begins with the replica's name in the colour of its service.
type Log struct {
	W     io.Writer
	Bare  bool // omit the replica's name
	Times bool // show the time

	wide int
}

// Expect widens the column of names for a replica. Call it before the first line to align all lines.
func (l *Log) Expect(stack, replica string) { l.wide = max(l.wide, len(shortName(stack, replica))) }

// Write prints one line.
func (l *Log) Write(line rhumb.LogLine) error {
	p, prefix, when := paintOn(l.W), "", ""
	if !l.Bare {
		l.Expect(line.Stack, line.Replica)
		h := fnv.New32a()
		h.Write([]byte(line.Service))
		name := fmt.Sprintf("%-*s |", l.wide, shortName(line.Stack, line.Replica))
		prefix = p.hue(int(h.Sum32()%uint32(len(hues))), name) + " "
	}
	if l.Times {
		when = p.dim(line.Time.UTC().Format("2006-01-02T15:04:05.000Z")) + " "
	}
	_, err := fmt.Fprintln(l.W, prefix+when+line.Text)
	return err
}
