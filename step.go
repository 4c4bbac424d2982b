package rhumb

import "fmt"

// StepKind is what a step does. Its value is the step's verb in plans.
type StepKind string

const (
	StepNetwork       StepKind = "create network" // a network of the stack's own
	StepVolume        StepKind = "create volume"  // a volume of the stack's own
	StepPublish       StepKind = "publish"        // bind an address of a service for the wanted release
	StepStart         StepKind = "start"          // a replica
	StepRun           StepKind = "run"            // a job or hook
	StepRoute         StepKind = "route"          // a replica gets new connections
	StepDrain         StepKind = "drain"          // a replica gets no new connections
	StepUnroute       StepKind = "unroute"        // a replica leaves the routing table
	StepStop          StepKind = "stop"           // a replica gets its stop signal, and is killed after its grace time
	StepCheck         StepKind = "check"          // a service's check, before the deployment has converged
	StepRecord        StepKind = "record"         // a replica's failure is stored as a failure card
	StepRemove        StepKind = "remove"         // a dead replica
	StepUnpublish     StepKind = "unpublish"      // close an address that the wanted release doesn't have
	StepRemoveNetwork StepKind = "remove network" // a network that the wanted release doesn't have
	StepRemoveVolume  StepKind = "remove volume"  // only if a person asked for it

	StepAddress StepKind = "address services" // the stack's service addresses in the table are brought up to date
	StepNames   StepKind = "name services"    // the names of services are written to a replica's hosts file
)

// Step is one idempotent thing to do. It is a value: it prints, compares and travels. Key identifies it.
type Step struct {
	Kind     StepKind
	Stack    string
	Name     string `json:",omitzero"` // of a network, volume or address
	Service  string `json:",omitzero"`
	Release  int    `json:",omitzero"` // of the replica
	Slot     int    `json:",omitzero"`
	Replica  string `json:",omitzero"` // the replica's ID; StepStart: the ID of the dead one that it replaces, or ""
	Restarts int    `json:",omitzero"` // StepStart: how often the slot has crashed in a row
	Why      string `json:",omitzero"` // the reason, in plain words
}

// Key returns what identifies the step: all of it but the reason. Two steps with one key are the same work.
func (s Step) Key() Step {
	s.Why = ""
	return s
}

// String returns the step in plain words: "start shop-web.42.1 (image changed)".
func (s Step) String() string {
	var what string
	switch s.Kind {
	case StepNetwork, StepVolume, StepRemoveNetwork, StepRemoveVolume:
		what = s.Name
	case StepPublish, StepUnpublish:
		what = s.Name
	case StepCheck:
		what = s.Service
	case StepAddress:
		what = "of " + s.Stack
	case StepNames:
		what = "for " + ReplicaName(s.Stack, s.Service, s.Release, s.Slot)
	default:
		what = ReplicaName(s.Stack, s.Service, s.Release, s.Slot)
	}
	if s.Why == "" {
		return fmt.Sprintf("%s %s", s.Kind, what)
	}
	return fmt.Sprintf("%s %s (%s)", s.Kind, what, s.Why)
}

// Plan is what a deployment would do if nothing failed.
type Plan struct {
	Stack   string
	From    int // 0: nothing serves
	To      int // the number that the new release would get
	Changes []Difference
	Steps   []Step // in the order in which they would be performed
	Notes   []Note `json:",omitzero"`
}

// Empty reports whether nothing would change.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// Difference is what differs in one service, or in the stack itself, between two releases. It names environment
// variables and never has their values.
type Difference struct {
	Service string   `json:",omitzero"` // "": the stack itself
	Verb    string   // "added", "removed", "changed"
	What    []string `json:",omitzero"` // "image", "environment FOO", "secret db_password", "replicas 1 -> 3"
	Order   Order    `json:",omitzero"` // how the service's replicas change
	Why     string   `json:",omitzero"` // why the service is stop-first
}
