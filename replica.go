package rhumb

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"
)

// ReplicaState is what the engine says of a replica.
type ReplicaState string

const (
	StateCreated ReplicaState = "created" // made, never started
	StateRunning ReplicaState = "running"
	StatePaused  ReplicaState = "paused" // frozen by hand
	StateExited  ReplicaState = "exited" // ended, or could not be started
)

// Health is what the engine's own health check says.
type Health string

const (
	HealthNone      Health = "" // there is no check
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy"
)

// Replica is one running, or once running, copy of a service at a release, as the engine shows it.
// What is wanted is never written here.
type Replica struct {
	ID       string // the engine's
	Stack    string
	Service  string
	Release  int    // the release that made it
	Slot     int    // from 1; 0: a one-off, which is nobody's
	Spec     string // the spec hash it was made from
	Restarts int    `json:",omitzero"` // crashes in a row before this one was started
	OneOff   string `json:",omitzero"` // of a one-off: the word in its name
	ImageID  string `json:",omitzero"`
	// PostStart tells that commands were to run in it after its start, before it counts as ready.
	PostStart bool `json:",omitzero"`

	State    ReplicaState
	Health   Health    `json:",omitzero"`
	ExitCode int       `json:",omitzero"`
	OOM      bool      `json:",omitzero"` // the kernel killed it for its memory
	Error    string    `json:",omitzero"` // why it could not be started
	Created  time.Time `json:",omitzero"`
	Started  time.Time `json:",omitzero"` // zero: never
	Finished time.Time `json:",omitzero"` // zero: it runs

	Addrs  map[string]netip.Addr `json:",omitzero"` // by network name; empty for network_mode host and none
	Joined string                `json:",omitzero"` // the ID of the replica whose network namespace it shares

	// Warnings are what the engine said when it made the replica: of settings that it leaves out, for one. Only the
	// answer of the Start that made it has them.
	Warnings []string `json:",omitzero"`
}

// AnonymousVolumeName names the volume that a slot has at a path for which neither the stack nor the image gives a
// name. The name is the slot's, so that the slot's next replica finds its data there.
func AnonymousVolumeName(stack, service string, slot int, target string) string {
	sum := sha256.Sum256([]byte(target))
	return fmt.Sprintf("%s-%s.%d_%x", stack, service, slot, sum[:4])
}

// Name gives the replica's name, which is also the container's: "shop-web.42.1".
func (r *Replica) Name() string { return ReplicaName(r.Stack, r.Service, r.Release, r.Slot) }

// ReplicaName makes the name of a replica: STACK-SERVICE.RELEASE.SLOT.
func ReplicaName(stack, service string, release, slot int) string {
	return fmt.Sprintf("%s-%s.%d.%d", stack, service, release, slot)
}

// Alive tells whether the replica's processes run.
func (r *Replica) Alive() bool { return r.State == StateRunning || r.State == StatePaused }
