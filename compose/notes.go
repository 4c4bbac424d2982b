package compose

import (
	"fmt"
	"slices"
	"strings"

	"rhumb"
)

// use is a key that the files use and that isn't honoured as written.
type use struct {
	path          string // in the model: services.web.deploy.mode
	section, name string // services, web
	key           *key
}

// usedKeys walks the merged model and finds the keys that the table doesn't call honoured. The library adds defaults;
// only what some file says counts.
func usedKeys(dict map[string]any, l *lines) []use {
	w := usage{lines: l, seen: map[string]bool{}}
	for _, k := range table() {
		if !strings.ContainsAny(k.path, "*[") && k.fate != rhumb.Honoured && l.has(k.path) {
			w.found = append(w.found, use{path: k.path, key: k}) // such as version, which the library takes away
			w.seen[k.path] = true
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
	slices.SortStableFunc(w.found, func(a, b use) int { return strings.Compare(a.path, b.path) })
	return w.found
}

type usage struct {
	lines         *lines
	found         []use
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
			w.walk(join(path, k), e, at.next(k))
		}
	case []any:
		for i, e := range v {
			w.walk(fmt.Sprintf("%s[%d]", path, i), e, at.next("[]"))
		}
	}
}

// note records the fate of the key at path, and tells whether what is below has no fate of its own.
func (w *usage) note(path string, value any, at *branch) bool {
	k := at.key(value)
	if k == nil || k.fate == rhumb.Honoured || !w.lines.has(path) {
		return false
	}
	id := general(path) + k.value
	if !w.seen[id] {
		w.seen[id] = true
		w.found = append(w.found, use{path, w.section, w.name, k})
	}
	return k.fate == rhumb.Refused || k.fate == rhumb.Ignored
}

// notes tells the fates of the used keys: notes for what is emulated or ignored, mistakes for what is refused. Services that aren't
// active and networks and volumes that nobody uses are left out.
func (c *converter) keyNotes(used []use) {
	for _, u := range used {
		if !c.concerns(u.section, u.name) {
			continue
		}
		if u.key.fate == rhumb.Refused {
			c.bad.at(u.path, u.key.hint(), "%s", u.key.refusal())
			continue
		}
		c.note(u.path, u.key.fate, u.key.why)
	}
}

// concerns tells whether the stack has what the section names so.
func (c *converter) concerns(section, name string) bool {
	switch section {
	case "services":
		_, ok := c.project.Services[name]
		return ok
	case "networks":
		return c.networks[name]
	case "volumes":
		return c.volumes[name]
	case "configs":
		return c.used[fileKey{rhumb.FileConfig, name}]
	case "secrets":
		return c.used[fileKey{rhumb.FileSecret, name}]
	}
	return true
}

func (c *converter) note(path string, fate rhumb.Fate, why string, args ...any) {
	if len(args) > 0 {
		why = fmt.Sprintf(why, args...)
	}
	n := rhumb.Note{At: c.lines.find(path), Subject: trailingIndex.ReplaceAllString(path, ""), Fate: fate, Why: why}
	if !slices.Contains(c.notes, n) {
		c.notes = append(c.notes, n)
	}
}
