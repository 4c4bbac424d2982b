package rhumb

import (
	"context"
	"time"
)

// Explainer finds out what most likely began a trouble. It changes nothing.
type Explainer interface {
	// Why compares the time that q chooses with the hour before it. Invalid: the time is empty. NotFound: nothing is
	// known of the stack or the service. Unavailable: the process that measures doesn't answer.
	Why(ctx context.Context, q WhyQuery) (Explanation, error)
}

// WhyQuery chooses what is to be explained.
type WhyQuery struct {
	Stack   string    `json:",omitzero"` // "": all stacks and the machine
	Service string    `json:",omitzero"` // "": all services of the stack
	Since   time.Time `json:",omitzero"` // zero: an hour before Until
	Until   time.Time `json:",omitzero"` // zero: now
}

// Explanation is what most likely began a trouble.
type Explanation struct {
	Since, Until time.Time
	// Causes are the most likely ones, the likeliest first, at most three. None: nothing was unusual.
	Causes []WhyCause `json:",omitzero"`
	// Happened is all that was changed or broke in that time, oldest first.
	Happened []Happening `json:",omitzero"`
	// Missing is what could not be read, so that a cause in it would not be found: "the log lines of shop: …".
	Missing []string `json:",omitzero"`
}

// WhyCause is a happening that most likely began a trouble, and what speaks for that.
type WhyCause struct {
	Happening
	// Evidence is what changed with it, the clearest first: a series that moved, a pattern of log lines never seen
	// before.
	Evidence []Evidence
}

// Happening is something that may begin a trouble.
type Happening struct {
	Kind    HappeningKind
	At      time.Time
	Stack   string `json:",omitzero"` // "": the machine, or rhumb itself
	Service string `json:",omitzero"`
	Release int    `json:",omitzero"`
	Text    string // "release 42 of shop began to serve (image, environment DB_POOL)"
}

// HappeningKind is what kind of thing happened.
type HappeningKind string

const (
	HappenedRelease     HappeningKind = "release"     // a release began to serve; what differs is in the text
	HappenedRollback    HappeningKind = "rollback"    // an older release was put back
	HappenedScale       HappeningKind = "scale"       // the number of replicas changed
	HappenedRestart     HappeningKind = "restart"     // a user restarted a service
	HappenedCrash       HappeningKind = "crash"       // a replica ended unasked, once or again and again
	HappenedOOM         HappeningKind = "oom"         // the kernel killed a replica for its memory
	HappenedMemory      HappeningKind = "memory"      // a replica's memory grew towards its limit
	HappenedThrottled   HappeningKind = "throttled"   // a replica reached its limit of CPU
	HappenedUnhealthy   HappeningKind = "unhealthy"   // a replica stopped passing its check
	HappenedDependency  HappeningKind = "dependency"  // another service of the stack became slow, failed or went away
	HappenedTraffic     HappeningKind = "traffic"     // more, fewer or other requests came
	HappenedDisk        HappeningKind = "disk"        // a disk became full, or very slow
	HappenedHostCPU     HappeningKind = "host cpu"    // the machine's CPUs were busy with something else
	HappenedHostMemory  HappeningKind = "host memory" // the machine's memory ran out
	HappenedEngine      HappeningKind = "engine"      // the engine or the machine was restarted
	HappenedProxy       HappeningKind = "proxy"       // the proxy was restarted
	HappenedCertificate HappeningKind = "certificate" // a certificate was changed, has expired or can't be had
	HappenedLog         HappeningKind = "log"         // lines of a kind never seen before, and nothing else
	HappenedUnknown     HappeningKind = "unknown"     // something moved, and nothing explains it
)

// Evidence is one thing that speaks for a cause.
type Evidence struct {
	At   time.Time
	Text string  // "p95 of web: 38 ms before, 840 ms since 03:12"
	Expr string  `json:",omitzero"` // the series in PromQL
	Was  float64 `json:",omitzero"` // with Expr: before
	Is   float64 `json:",omitzero"` // with Expr: since
}
