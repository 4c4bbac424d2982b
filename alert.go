package rhumb

import (
	"context"
	"time"
)

// Alerts shows what is wrong, as the rules say, and lets users be told less of it.
type Alerts interface {
	// Alerts returns the alerts of a stack that are pending or firing, and those that were resolved within the last day,
	// newest first; with "" those of all stacks and of the server itself. Unavailable: the process that evaluates the
	// rules doesn't answer.
	Alerts(ctx context.Context, stack string) ([]Alert, error)
	// AlertRules returns all rules, sorted by stack and name. Unavailable: as Alerts.
	AlertRules(ctx context.Context) ([]AlertRule, error)
	// TestAlert sends a message that says it is a test to each receiver, and returns how it went; none if there are no
	// receivers. Unavailable: as Alerts.
	TestAlert(ctx context.Context) ([]AlertReceiver, error)
	// AlertReceivers returns where messages are sent, and how the last attempt went. Unavailable: as Alerts.
	AlertReceivers(ctx context.Context) ([]AlertReceiver, error)
	Silencer
}

// Silencer keeps alerts from being sent.
type Silencer interface {
	// Silences returns the silences that haven't ended. Unavailable: as Alerts.
	Silences(ctx context.Context) ([]Silence, error)
	// Silence keeps alerts from being sent until s.Until, and returns the silence with its ID. Invalid: it has no end,
	// has ended, or matches all alerts. Unavailable: as Alerts.
	Silence(ctx context.Context, s Silence) (Silence, error)
	// RemoveSilence ends a silence. NotFound: there is none with that ID. Unavailable: as Alerts.
	RemoveSilence(ctx context.Context, id string) error
}

// AlertState is where an alert stands.
type AlertState string

const (
	AlertPending  AlertState = "pending"  // its condition holds, but not yet for as long as the rule says
	AlertFiring   AlertState = "firing"   // messages are sent
	AlertResolved AlertState = "resolved" // its condition doesn't hold any more
)

// Severity is how soon an alert needs a look.
type Severity string

const (
	SeverityWarning  Severity = "warning"  // within the day
	SeverityCritical Severity = "critical" // now
)

// Alert is one rule whose condition holds, or held, for one set of labels.
type Alert struct {
	ID       string // of its rule and labels; the next time it is the same
	Rule     string
	Severity Severity
	State    AlertState
	Since    time.Time         // since when its condition holds
	Fired    time.Time         `json:",omitzero"`
	Resolved time.Time         `json:",omitzero"`
	Stack    string            `json:",omitzero"` // "": of the server itself
	Service  string            `json:",omitzero"`
	Replica  string            `json:",omitzero"`
	Labels   map[string]string `json:",omitzero"` // all of them
	Value    float64           // of the rule's expression
	Text     string            // what is wrong, in words
	Release  int               `json:",omitzero"` // of the stack that serves
	// Deployment is the stack's open or last deployment.
	Deployment int64  `json:",omitzero"`
	Silence    string `json:",omitzero"` // the ID of the silence that keeps it from being sent
	// Inhibited means that it isn't sent, because a deployment replaces what it is about. Its verdict is awaited.
	Inhibited bool `json:",omitzero"`
}

// AlertRule says when something is wrong.
type AlertRule struct {
	Name     string // "HighLatency"
	Stack    string `json:",omitzero"` // the stack whose rule it is; "": rhumb's own, for all stacks
	Service  string `json:",omitzero"` // the service whose rule it is; "": the stack's
	Expr     string // in PromQL; each series of its result is an alert
	Severity Severity
	For      time.Duration `json:",omitzero"` // for how long the condition must hold before it fires
	Keep     time.Duration `json:",omitzero"` // for how long it keeps firing when the condition doesn't hold any more
	// Text is what is wrong, in words; {{value}} and {{LABEL}} are replaced.
	Text string `json:",omitzero"`
	// Replicas means that it is about single replicas, so that it isn't sent while a deployment replaces them.
	Replicas bool   `json:",omitzero"`
	Off      bool   `json:",omitzero"` // a stack has turned a rule of rhumb's off for itself
	At       string `json:",omitzero"` // where it is written: "compose.yaml:12"
}

// AlertReceiver is where messages about alerts are sent.
type AlertReceiver struct {
	URL       string    // without user, password, parameters, and the secret parts of the path
	Sent      time.Time `json:",omitzero"` // when it last took a message; zero: never
	LastError string    `json:",omitzero"` // of the last attempt; "": it succeeded, or there was none
	ErrorAt   time.Time `json:",omitzero"`
}

// Silence keeps alerts from being sent. An alert must match all that is set.
type Silence struct {
	ID      string `json:",omitzero"` // given by the server
	Rule    string `json:",omitzero"`
	Stack   string `json:",omitzero"`
	Service string `json:",omitzero"`
	Until   time.Time
	By      string    `json:",omitzero"` // who made it, as the connection says
	Why     string    `json:",omitzero"`
	Made    time.Time `json:",omitzero"`
}

// Matches reports whether the silence is about the alert.
func (s Silence) Matches(a Alert) bool {
	return (s.Rule == "" || s.Rule == a.Rule) && (s.Stack == "" || s.Stack == a.Stack) &&
		(s.Service == "" || s.Service == a.Service)
}
