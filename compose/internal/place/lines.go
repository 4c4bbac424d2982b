// Package place knows where in Compose files things were said, and collects the mistakes found there. A path, such as
// services.web.ports[0], is a place in the merged model; a place, such as "compose.yaml:12", is one in a file.
package place

import "strings"

// Lines remembers where each path of the model was said: services.web.ports[1] is "compose.yaml:12". When several files
// say a path, the last one counts. Items of lists are counted over all files, as merging appends them.
type Lines struct {
	at    map[string]string
	what  map[string]any // what says the path: a key for telling whether two paths are said by one thing
	Count map[string]int // how many items of a list earlier files gave
}

// NewLines makes lines that remember nothing yet.
func NewLines() *Lines {
	return &Lines{at: map[string]string{}, what: map[string]any{}, Count: map[string]int{}}
}

// Mark records where a path is said and what says it, and the same of the path without its last list position, and
// without any, for callers that can't know them.
func (l *Lines) Mark(path, at string, what any) {
	l.at[path], l.what[path] = at, what
	if strings.Contains(path, "[") {
		l.at[lastGeneral(path)], l.at[General(path)] = at, at
	}
}

// Has tells whether some file says the path, or an item of its list says it.
func (l *Lines) Has(path string) bool {
	if _, ok := l.at[path]; ok {
		return true
	}
	_, ok := l.at[General(path)]
	return ok
}

// Find returns the place of a path, or of the nearest thing around it that has one; "" if there is none.
func (l *Lines) Find(path string) string {
	for path != "" {
		if at, ok := l.at[path]; ok {
			return at
		}
		if at, ok := l.at[lastGeneral(path)]; ok { // without more of them it could be another list's item
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
