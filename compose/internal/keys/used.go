package keys

import (
	"fmt"
	"slices"
	"strings"

	"rhumb"
	"rhumb/compose/internal/place"
)

// Use is a key in the files that isn't honoured as written.
type Use struct {
	Path          string // in the model: services.web.deploy.mode
	Section, Name string // services, web
	Key           *Key
}

// Used returns the keys of the merged model that the table doesn't call honoured. It skips the library's defaults:
// only what a file contains counts.
func Used(dict map[string]any, l *place.Lines) []Use {
	w := usage{lines: l, seen: map[string]bool{}}
	for _, k := range Table() {
		if !strings.ContainsAny(k.Path, "*[") && k.Fate == rhumb.Ignored && l.Has(k.Path) {
			w.found = append(w.found, Use{Path: k.Path, Key: k}) // such as version, which the library removes
			w.seen[k.Path] = true
		}
	}
	for section, v := range dict {
		below := root().next(section)
		entries, ok := v.(map[string]any)
		if below == nil || !ok {
			continue
		}
		for name, e := range entries {
			w.section, w.name = section, name
			w.walk(section+"."+name, e, below.next(name))
		}
	}
	slices.SortStableFunc(w.found, func(a, b Use) int { return strings.Compare(a.Path, b.Path) })
	return w.found
}

type usage struct {
	lines         *place.Lines
	found         []Use
	seen          map[string]bool
	section, name string
}

func (w *usage) walk(path string, value any, at *branch) {
	if at == nil || w.note(path, value, at) {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		for k, e := range v {
			w.walk(place.Join(path, k), e, at.next(k))
		}
	case []any:
		for i, e := range v {
			w.walk(fmt.Sprintf("%s[%d]", path, i), e, at.next("[]"))
		}
	}
}

// note records the fate of the key at path. It reports whether the keys below share it.
func (w *usage) note(path string, value any, at *branch) bool {
	k := at.key(value)
	if k == nil || k.Fate == rhumb.Honoured || !w.lines.Has(path) {
		return false
	}
	if k.Fate == rhumb.Refused && nothing(value) {
		return true
	}
	id := place.General(path) + k.Value
	if !w.seen[id] {
		w.seen[id] = true
		w.found = append(w.found, Use{path, w.section, w.name, k})
	}
	return k.Fate == rhumb.Refused || k.Fate == rhumb.Ignored
}

// nothing reports whether a value has no effect: {} or [].
func nothing(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// Refused returns the top-level key at a path if the table refuses it, or nil.
func Refused(path string) *Key {
	if at := root().below[path]; at != nil && at.any != nil && at.any.Fate == rhumb.Refused {
		return at.any
	}
	return nil
}
