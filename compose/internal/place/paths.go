package place

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// Compare orders places: by file, then by line.
func Compare(a, b string) int {
	fa, la := Split(a)
	fb, lb := Split(b)
	return cmp.Or(cmp.Compare(fa, fb), cmp.Compare(la, lb))
}

// Split returns a place's file and line; the line is 0 if it has none.
func Split(at string) (string, int) {
	if i := strings.LastIndexByte(at, ':'); i >= 0 {
		if n, err := strconv.Atoi(at[i+1:]); err == nil {
			return at[:i], n
		}
	}
	return at, 0
}

var trailingIndex = regexp.MustCompile(`(\[\d*\])+$`)

// Subject returns a path as messages name it: services.web.ports[0] is web.ports, networks.back.driver stays.
func Subject(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(Unindexed(path), "services."), "[]", "")
}

// Unindexed returns the path without the position at its end: services.web.ports[0] is services.web.ports.
func Unindexed(path string) string { return trailingIndex.ReplaceAllString(path, "") }

// At returns the place of a line in a file: "compose.yaml:12". Without a line it is the file.
func At(name string, line int) string {
	if line <= 0 {
		return name
	}
	return name + ":" + strconv.Itoa(line)
}

// Join returns the path of a key below another path.
func Join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// General returns the path without list positions: services.web.ports[].mode.
func General(path string) string {
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

// lastGeneral returns the path without its last list position: services.web.pre_start[0].volumes[].
func lastGeneral(path string) string {
	i, j := strings.LastIndexByte(path, '['), strings.LastIndexByte(path, ']')
	if i < 0 || j < i {
		return path
	}
	return path[:i+1] + path[j:]
}
