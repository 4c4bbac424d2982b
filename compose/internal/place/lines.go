// Package place records where Compose files set values, and collects the mistakes found there. A path, such as
// services.web.ports[0], is a place in the merged model. A place, such as "compose.yaml:12", is one in a file.
package place

import "strings"

// Lines has the place of each path of the model: services.web.ports[1] is at "compose.yaml:12". If several files set
// a path, the last one counts. List items are numbered over all files, because merging appends them.
type Lines struct {
	at    map[string]string
	what  map[string]any // the source of a path: two paths with the same source are one value in a file
	Count map[string]int // how many items of a list are in earlier files
}

// NewLines returns empty lines.
func NewLines() *Lines {
	return &Lines{at: map[string]string{}, what: map[string]any{}, Count: map[string]int{}}
}

// Mark records the place and the source of a path. It also records the path without its last list position, and
// without all of them, for callers that don't know the positions.
func (l *Lines) Mark(path, at string, what any) {
	l.at[path], l.what[path] = at, what
	if strings.Contains(path, "[") {
		l.at[lastGeneral(path)], l.at[General(path)] = at, at
	}
}

// Has reports whether a file sets the path or an item of its list.
func (l *Lines) Has(path string) bool {
	if _, ok := l.at[path]; ok {
		return true
	}
	_, ok := l.at[General(path)]
	return ok
}

// Find returns the place of a path, or of the nearest path above it that has one; "" if there is none.
func (l *Lines) Find(path string) string {
	for path != "" {
		if at, ok := l.at[path]; ok {
			return at
		}
		if at, ok := l.at[lastGeneral(path)]; ok { // without other positions it could be an item of another list
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return ""
		}
		path = path[:i]
	}
	return ""
}
