package release

import "rhumb"

// AddressNotes returns a note for each service that publishes ports of TCP or UDP and whose replicas can't see their
// clients' addresses there.
func AddressNotes(m *rhumb.Stack) []rhumb.Note {
	if m == nil {
		return nil
	}
	var notes []rhumb.Note
	for i := range m.Services {
		s := &m.Services[i]
		why := m.Unseen(s)
		if why == "" || s.SendProxy != "" {
			continue
		}
		for _, p := range s.Ports {
			if p.Protocol != rhumb.HTTP {
				notes = append(notes, rhumb.Note{Subject: "services." + s.Name + ".ports", Fate: rhumb.Emulated,
					Why: "its replicas see the proxy's address instead of their clients': " + why})
				break
			}
		}
	}
	return notes
}
