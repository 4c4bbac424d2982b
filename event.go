package rhumb

import (
	"context"
	"time"
)

// EventLog keeps events.
type EventLog interface {
	// Append stores an event and returns it with its ID. About the last 10,000 are kept. Progress of a pull (EventPull)
	// is not stored and keeps the ID 0.
	Append(ctx context.Context, e Event) (Event, error)
	// Events returns the stored events that f chooses, oldest first. It ignores f.Follow.
	Events(ctx context.Context, f EventFilter) ([]Event, error)
}

// EventKind is what happened. Progress on a terminal, the daemon's log and the API's stream all show the same events.
type EventKind string

const (
	EventDeployment EventKind = "deployment" // began, changed its phase, or ended: Phase says which
	EventPull       EventKind = "pull"       // Done of Total bytes; not stored
	EventStarting   EventKind = "starting"   // a replica is being started
	EventStarted    EventKind = "started"
	EventReady      EventKind = "ready"
	EventDraining   EventKind = "draining"
	EventStopped    EventKind = "stopped"
	EventFailed     EventKind = "failed"    // Failure is its card
	EventBackoff    EventKind = "backoff"   // it crashes repeatedly, and is started again later
	EventCompleted  EventKind = "completed" // a job exited with 0
	EventHook       EventKind = "hook"      // a hook has ended: Hook is how it went
	EventWarning    EventKind = "warning"   // a step failed and is tried again, or something is not quite as asked
	EventLimits     EventKind = "limits"    // limits began to refuse, or have ended to: Text says which
	EventBan        EventKind = "ban"       // a client was banned, or its ban was ended before its time
)

// Event is something that happened to a stack.
type Event struct {
	ID         int64 // grows; 0: not stored
	At         time.Time
	Kind       EventKind
	Stack      string   `json:",omitzero"`
	Deployment int64    `json:",omitzero"`
	Service    string   `json:",omitzero"`
	Replica    string   `json:",omitzero"` // its name
	Slot       int      `json:",omitzero"`
	Release    int      `json:",omitzero"`
	Phase      Phase    `json:",omitzero"`
	By         string   `json:",omitzero"`
	Text       string   `json:",omitzero"` // in plain words
	Done       int64    `json:",omitzero"` // EventPull
	Total      int64    `json:",omitzero"` // EventPull
	Failure    *Failure `json:",omitzero"`
	Hook       *HookRun `json:",omitzero"`
}

// EventFilter chooses events. The zero value chooses all that are stored.
type EventFilter struct {
	Stack      string
	Deployment int64
	After      int64     // those with a greater ID
	Since      time.Time // those not before
	Limit      int       // the last n of them; 0: all
	Follow     bool      // and all that follow, until the context ends
}
