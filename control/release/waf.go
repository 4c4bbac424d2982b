package release

import (
	"fmt"

	"rhumb"
)

// WAFNotes returns a note if requests to a service are looked at for attacks, because that takes memory.
func WAFNotes(m *rhumb.Stack) []rhumb.Note {
	if m == nil {
		return nil
	}
	for i := range m.Services {
		if s := &m.Services[i]; s.HasWAF() {
			return []rhumb.Note{{Subject: "services." + s.Name + ".x-rhumb.waf", Fate: rhumb.Honoured,
				Why: fmt.Sprintf("a process beside the proxy looks at the requests; it takes about %d MB, once for all routes",
					rhumb.WAFMemory>>20)}}
		}
	}
	return nil
}
