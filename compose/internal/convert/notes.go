package convert

import (
	"fmt"
	"slices"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// keyNotes reports the fates of the keys in use: a note if it is emulated or ignored, a mistake if it is refused. It
// skips inactive services, and networks and volumes without a service.
func (c *converter) keyNotes(used []keys.Use) {
	for _, u := range used {
		if !c.concerns(u.Section, u.Name) {
			continue
		}
		if u.Key.Fate == rhumb.Refused {
			c.bad.At(u.Path, u.Key.Hint(), "%s", u.Key.Refusal())
			continue
		}
		c.note(u.Path, u.Key.Fate, u.Key.Why)
	}
}

// concerns reports whether the stack has an element of that name in the section.
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
	n := rhumb.Note{At: c.lines.Find(path), Subject: place.Unindexed(path), Fate: fate, Why: why}
	if !slices.Contains(c.notes, n) {
		c.notes = append(c.notes, n)
	}
}
