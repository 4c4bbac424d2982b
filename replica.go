package rhumb

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"
)

// ReplicaState is a replica's state in the engine.
type ReplicaState string

const (
	StateCreated ReplicaState = "created" // never started
	StateRunning ReplicaState = "running"
	StatePaused  ReplicaState = "paused" // by hand
	StateExited  ReplicaState = "exited" // ended, or could not be started
)

// Health is the result of the engine's own health check.
type Health string

const (
	HealthNone      Health = "" // there is no check
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy"
)

// Replica is a copy of a service at a release, running or dead, as the engine shows it. Nothing here is what is wanted.
type Replica struct {
	ID       string // the engine's
	Stack    string
	Service  string
	Release  int    // the release that it was made from
	Slot     int    // from 1; 0: a one-off, which belongs to no service
	Spec     string // its spec hash
	Restarts int    `json:",omitzero"` // crashes in a row before this one was started
	OneOff   string `json:",omitzero"` // of a one-off: the word in its name
	ImageID  string `json:",omitzero"`
	// PostStart means that commands must run in it after its start, before it counts as ready.
	PostStart bool `json:",omitzero"`

	State    ReplicaState
	Health   Health    `json:",omitzero"`
	ExitCode int       `json:",omitzero"`
	OOM      bool      `json:",omitzero"` // the kernel killed it because memory ran out
	Error    string    `json:",omitzero"` // why it could not be started
	Created  time.Time `json:",omitzero"`
	Started  time.Time `json:",omitzero"` // zero: never
	Finished time.Time `json:",omitzero"` // zero: it runs

	Addrs  map[string]netip.Addr `json:",omitzero"` // by network name; empty for network_mode host and none
	Addrs6 map[string]netip.Addr `json:",omitzero"` // of IPv6, beside those of IPv4 in Addrs, by network name
	Joined string                `json:",omitzero"` // the ID of the replica whose network namespace it shares

	// Warnings are the engine's own when it created the replica, for example about settings that it ignores. Only the
	// Start that created it returns them.
	Warnings []string `json:",omitzero"`
}

// AnonymousVolumeName returns the name of a slot's volume at a path where neither the stack nor the image names one.
// The slot's next replica finds its data there.
func AnonymousVolumeName(stack, service string, slot int, target string) string {
	sum := sha256.Sum256([]byte(target))
	return fmt.Sprintf("%s-%s.%d_%x", stack, service, slot, sum[:4])
}

// Name returns the replica's name, which is also the container's: "shop-web.42.1".
func (r *Replica) Name() string { return ReplicaName(r.Stack, r.Service, r.Release, r.Slot) }

// ReplicaName returns the name of a replica: STACK-SERVICE.RELEASE.SLOT.
func ReplicaName(stack, service string, release, slot int) string {
	return fmt.Sprintf("%s-%s.%d.%d", stack, service, release, slot)
}

// Alive reports whether the replica's processes exist.
func (r *Replica) Alive() bool { return r.State == StateRunning || r.State == StatePaused }
