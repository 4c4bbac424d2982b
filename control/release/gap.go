package release

import (
	"fmt"

	"rhumb"
)

// GapNotes returns a note for each stop-first service that holds requests for less time than a change of it may take.
func GapNotes(m *rhumb.Stack) []rhumb.Note {
	if m == nil {
		return nil
	}
	var notes []rhumb.Note
	for i := range m.Services {
		s := m.Services[i].Applied()
		if !s.Served() || s.Order != rhumb.StopFirst || s.Replicas != 1 || s.Hold >= s.Gap() {
			continue
		}
		const words = "requests wait for %s, but a change may take longer: up to %s to drain, " +
			"%s to stop (stop_grace_period), and then the start; requests that wait longer fail"
		notes = append(notes, rhumb.Note{Subject: "services." + s.Name + ".x-rhumb.hold", Fate: rhumb.Honoured,
			Why: fmt.Sprintf(words, s.Hold, s.GapDrain(), s.Container.Grace())})
	}
	return notes
}
