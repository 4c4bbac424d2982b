package rhumb

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// HookKind is when a hook runs.
type HookKind string

const (
	// In a container of its own, before a service's replicas change, or before each replica starts.
	HookPreStart  HookKind = "pre_start"
	HookPostStart HookKind = "post_start" // in a replica, after its start and before it counts as ready
	HookPreStop   HookKind = "pre_stop"   // in a replica, before its stop signal
	HookAfter     HookKind = "after"      // once all replicas are in place, before a deployment has converged
)

// Hook is a command that runs in a replica.
type Hook struct {
	Command    []string
	Env        map[string]string `json:",omitzero"` // beside the replica's own
	User       string            `json:",omitzero"`
	WorkingDir string            `json:",omitzero"`
	Privileged bool              `json:",omitzero"`
	Timeout    time.Duration     // after which it is killed and has failed
}

// PreStart is a container that runs to its end before each start of a replica. It has the volumes of the replica's
// slot.
type PreStart struct {
	Number    int // of the service's pre_start hooks, from 1
	Container Container
	Pull      PullPolicy    `json:",omitzero"` // of an image of its own; "": as the service's
	Timeout   time.Duration // after which it is killed and has failed
}

// Check is what must hold before a deployment has converged: a command exits with 0, replicas answer over HTTP, or
// both.
type Check struct {
	Command []string      `json:",omitzero"` // runs in a container of its own, made like a replica
	Path    string        `json:",omitzero"` // every replica answers GET with a status from 200 to 399
	Port    uint16        `json:",omitzero"`
	Timeout time.Duration // for each of the two
}

// HookRun is how a hook went. It is kept after the hook's container is gone.
type HookRun struct {
	At      time.Time // when it ended
	Kind    HookKind
	Number  int // from 1, of the service's hooks of that kind
	Service string
	Release int
	Slot    int           `json:",omitzero"` // 0: it ran for the whole service
	Took    time.Duration `json:",omitzero"`
	Failed  string        `json:",omitzero"` // why, in plain words; "": it completed
	Logs    []string      `json:",omitzero"` // its last lines
}

// Title names the hook: "pre_start of web", "pre_stop 2 of web".
func (r *HookRun) Title() string { return hookTitle(r.Kind, r.Service, r.Number) }

func hookTitle(kind HookKind, service string, n int) string {
	if n > 1 {
		return fmt.Sprintf("%s %d of %s", kind, n, service)
	}
	return fmt.Sprintf("%s of %s", kind, service)
}

// A pre_start hook that runs once is a job among the stack's services. No service of a user can have its name.
const hookInfix = "." + string(HookPreStart) + "."

// HookService returns the name of the n-th pre_start hook of a service: "web.pre_start.1".
func HookService(service string, n int) string { return service + hookInfix + strconv.Itoa(n) }

// HookOf reports which service a pre_start job belongs to, and its index among that service's hooks, from 1. For other
// services ok is false.
func HookOf(name string) (service string, n int, ok bool) {
	i := strings.LastIndex(name, hookInfix)
	if i <= 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(name[i+len(hookInfix):])
	if err != nil || n < 1 {
		return "", 0, false
	}
	return name[:i], n, true
}

// JobTitle returns a job's name for people: `hook "pre_start of web"` for a hook, otherwise its own name.
func JobTitle(name string) string {
	if service, n, ok := HookOf(name); ok {
		return fmt.Sprintf("hook %q", hookTitle(HookPreStart, service, n))
	}
	return name
}
