package rhumb

import "fmt"

// StepKind is what a step does.
type StepKind string

const (
	StepNetwork       StepKind = "create network"
	StepVolume        StepKind = "create volume"
	StepPublish       StepKind = "publish"        // bind Service's listeners and rules of the wanted release
	StepStart         StepKind = "start"          // a replica
	StepRun           StepKind = "run"            // a job
	StepRoute         StepKind = "route"          // a replica gets new connections
	StepDrain         StepKind = "drain"          // a replica gets no new connections
	StepUnroute       StepKind = "unroute"        // a replica leaves the routing table
	StepStop          StepKind = "stop"           // a replica gets its stop signal
	StepCheck         StepKind = "check"          // a service's check must pass before the deployment has converged
	StepRecord        StepKind = "record"         // a replica's failure is written down, with its logs
	StepRemove        StepKind = "remove"         // a dead replica
	StepUnpublish     StepKind = "unpublish"      // close listeners that the wanted release doesn't have
	StepRemoveNetwork StepKind = "remove network" // that the wanted release doesn't have
	StepRemoveVolume  StepKind = "remove volume"  // only when a person asked
)

// Step is one idempotent thing to do. It is a value: it prints, compares and travels. Key identifies it.
type Step struct {
	Kind     StepKind
	Stack    string
	Name     string `json:",omitzero"` // of a network or volume
	Service  string `json:",omitzero"`
	Release  int    `json:",omitzero"` // of the replica
	Slot     int    `json:",omitzero"`
	Replica  string `json:",omitzero"` // the ID of the replica it is about; StepStart: the dead one that it replaces, or ""
	Restarts int    `json:",omitzero"` // StepStart: crashes in a row so far
	Why      string `json:",omitzero"` // in plain words
}

// Key returns what identifies the step: all of it but the reason. Two steps with one key are the same work.
func (s Step) Key() Step {
	s.Why = ""
	return s
}

// String gives the step in plain words: "start shop-web.42.1 (image changed)".
func (s Step) String() string {
	var what string
	switch s.Kind {
	case StepNetwork, StepVolume, StepRemoveNetwork, StepRemoveVolume:
		what = s.Name
	case StepPublish, StepUnpublish:
		what = s.Name
	case StepCheck:
		what = s.Service
	default:
		what = ReplicaName(s.Stack, s.Service, s.Release, s.Slot)
	}
	if s.Why == "" {
		return fmt.Sprintf("%s %s", s.Kind, what)
	}
	return fmt.Sprintf("%s %s (%s)", s.Kind, what, s.Why)
}

// Plan is what a deployment would do.
type Plan struct {
	Stack   string
	From    int // 0: nothing serves
	To      int // the number that the release would get
	Changes []Difference
	Steps   []Step
	Notes   []Note `json:",omitzero"`
}

// Empty tells whether nothing would change.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// Difference is one thing that differs between two releases. It names environment variables, never their values.
type Difference struct {
	Service string   `json:",omitzero"` // "": the stack itself
	Verb    string   // "added", "removed", "changed"
	What    []string `json:",omitzero"` // "image", "environment FOO", "secret db_password", "replicas 1 -> 3"
	Order   Order    `json:",omitzero"` // how its replicas change
	Why     string   `json:",omitzero"` // why it is stop-first
}
