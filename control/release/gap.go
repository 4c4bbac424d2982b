package release

import (
	"fmt"

	"rhumb"
)

// GapNotes returns a note for each stop-first service whose requests can't wait for as long as a change may take.
func GapNotes(m *rhumb.Stack) []rhumb.Note {
	if m == nil {
		return nil
	}
	var notes []rhumb.Note
	for i := range m.Services {
		s := &m.Services[i]
		if !s.Served() || s.Order != rhumb.StopFirst || s.Replicas != 1 || s.Hold >= s.Gap() {
			continue
		}
		notes = append(notes, rhumb.Note{Subject: "services." + s.Name + ".x-rhumb.hold", Fate: rhumb.Honoured,
			Why: fmt.Sprintf("requests wait for %s, and a change may take longer: up to %s for what is under way, %s to stop (stop_grace_period), "+
				"and then the start; those that wait longer fail", s.Hold, s.GapDrain(), s.Container.Grace())})
	}
	return notes
}
