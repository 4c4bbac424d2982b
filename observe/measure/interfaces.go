package measure

import (
	"bytes"
	"iter"

	"rhumb/observe/measure/internal/kernfile"
)

// networkInterface is a line of the kernel's file of network interfaces.
type networkInterface struct {
	name           []byte
	received, sent float64 // bytes
}

// interfaces yields the network interfaces in a file such as /proc/net/dev: a name and a colon, eight numbers of what
// was received, eight of what was sent.
func interfaces(text []byte) iter.Seq[networkInterface] {
	return func(yield func(networkInterface) bool) {
		for line := range bytes.Lines(text) {
			name, rest, ok := bytes.Cut(line, []byte(":"))
			if !ok {
				continue // a title
			}
			i := networkInterface{name: bytes.TrimSpace(name), received: field(rest, 0), sent: field(rest, 8)}
			if !yield(i) {
				return
			}
		}
	}
}

// field returns the n-th number of a line, from 0. NaN: there is none.
func field(line []byte, n int) float64 {
	for ; ; n-- {
		line = bytes.TrimLeft(line, " \t")
		if n == 0 {
			return kernfile.Number(line)
		}
		if i := bytes.IndexAny(line, " \t"); i >= 0 {
			line = line[i:]
		} else {
			line = nil
		}
	}
}
