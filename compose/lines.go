package compose

import "strings"

// lines remembers where each path of the model was said: services.web.ports[1] is "compose.yaml:12". When several files
// say a path, the last one counts. Items of lists are counted over all files, as merging appends them.
type lines struct {
	at    map[string]string
	count map[string]int // how many items of a list earlier files gave
}

func newLines() *lines { return &lines{at: map[string]string{}, count: map[string]int{}} }

// mark records a path, and the same path without its list positions for those who can't know them.
func (l *lines) mark(path, at string) {
	l.at[path] = at
	if g := general(path); g != path {
		l.at[g] = at
	}
}

// has tells whether some file says the path, or an item of its list says it.
func (l *lines) has(path string) bool {
	if _, ok := l.at[path]; ok {
		return true
	}
	_, ok := l.at[general(path)]
	return ok
}

// find gives the place of a path, or of the nearest thing around it that has one; "" if there is none.
func (l *lines) find(path string) string {
	for path != "" {
		if at, ok := l.at[path]; ok {
			return at
		}
		if at, ok := l.at[general(path)]; ok {
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

// general gives the path with all list positions left out: services.web.ports[].mode.
func general(path string) string {
	if !strings.Contains(path, "[") {
		return path
	}
	var b strings.Builder
	skip := false
	for _, r := range path {
		switch r {
		case '[':
			skip = true
			b.WriteString("[]")
		case ']':
			skip = false
		default:
			if !skip {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}
