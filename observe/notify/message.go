package notify

import (
	"time"

	"rhumb"
)

// Kind is why a message is sent.
type Kind string

// The kinds of messages.
const (
	Firing   Kind = "firing"   // alerts began to fire, alone or beside others
	Still    Kind = "still"    // a critical alert has been firing for hours
	Resolved Kind = "resolved" // all alerts of an incident are over
	Test     Kind = "test"     // a user asked for it
)

// Message is what people learn about an incident: the time in which a stack, or the server itself, has alerts that
// fire. One incident has one message at its beginning and one at its end, and others only if alerts join it.
type Message struct {
	Kind     Kind
	Incident string // the same in all messages of an incident
	Stack    string // "": the server itself
	At       time.Time
	New      []rhumb.Alert // those that began to fire since the last message
	Firing   []rhumb.Alert // the others that fire
	Resolved []rhumb.Alert // those that are over since the last message
	Release  int           // of the stack that serves; 0: none, or unknown
	// Deployment is the stack's open or last deployment, in words.
	Deployment string
	Link       string // to the dashboard; "": there is none
}

// severity returns the highest severity of the alerts that fire.
func (m *Message) severity() rhumb.Severity {
	for _, list := range [][]rhumb.Alert{m.New, m.Firing} {
		for _, a := range list {
			if a.Severity == rhumb.SeverityCritical {
				return rhumb.SeverityCritical
			}
		}
	}
	return rhumb.SeverityWarning
}
