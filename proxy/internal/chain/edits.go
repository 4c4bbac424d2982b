package chain

import (
	"strings"

	"rhumb"
)

// Edits change a header: fields are dropped, then others are added.
type Edits struct {
	Added   []rhumb.HeaderField
	dropped []string // lower case, with "-"
}

func editsOf(h rhumb.HeaderChanges) Edits {
	var e Edits
	e.also(h.Remove...)
	for _, f := range h.Set {
		e.also(f.Name)
	}
	e.Added = append(append(e.Added, h.Set...), h.Add...)
	return e
}

// also drops further fields.
func (e *Edits) also(names ...string) {
	for _, n := range names {
		e.dropped = append(e.dropped, strings.ReplaceAll(strings.ToLower(n), "_", "-"))
	}
}

// Drops reports whether a field is dropped. "_" counts as "-": CGI and WSGI don't tell them apart, so that a client
// could pass a value of its own beside the one that is set.
func (e *Edits) Drops(name string) bool {
	for _, d := range e.dropped {
		if len(d) == len(name) && same(name, d) {
			return true
		}
	}
	return false
}

// same reports whether a name is that one, which is in lower case and has "-" for "_".
func same(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		case c == '_':
			c = '-'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
