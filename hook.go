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
	HookPreStart  HookKind = "pre_start"  // in a container of its own, before a service's replicas change, or before each replica's start
	HookPostStart HookKind = "post_start" // in a replica, once it has been started; it isn't ready before
	HookPreStop   HookKind = "pre_stop"   // in a replica, before its stop signal
	HookAfter     HookKind = "after"      // once all replicas are in place; a deployment hasn't converged before
)

// Hook is a command that runs in a replica.
type Hook struct {
	Command    []string
	Env        map[string]string `json:",omitzero"` // beside the replica's own
	User       string            `json:",omitzero"`
	WorkingDir string            `json:",omitzero"`
	Privileged bool              `json:",omitzero"`
	Timeout    time.Duration     // past which it is killed and has failed
}

// PreStart is a container that runs to its end before each start of a replica, with the volumes of the replica's slot.
type PreStart struct {
	Number    int // of the service's pre_start hooks, from 1
	Container Container
	Pull      PullPolicy    `json:",omitzero"` // of an image of its own; "": as the service's
	Timeout   time.Duration // past which it is killed and has failed
}

// Check is what must hold before a deployment counts as converged: a command that exits with 0, an answer over HTTP, or both.
type Check struct {
	Command []string      `json:",omitzero"` // runs in a container of its own, made like a replica
	Path    string        `json:",omitzero"` // every replica answers GET with a status from 200 to 399
	Port    uint16        `json:",omitzero"`
	Timeout time.Duration // for each of the two
}

// HookRun is how a hook went: what is kept of it once its container is gone.
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

// A pre_start hook that runs once is a service of its own among the stack's, a job with a name that no service of a user's has.
const hookInfix = "." + string(HookPreStart) + "."

// HookService gives the name of the n-th pre_start hook of a service: "web.pre_start.1".
func HookService(service string, n int) string { return service + hookInfix + strconv.Itoa(n) }

// HookOf tells whose pre_start hook, and the how manieth, a service is; ok is false for all other services.
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

// JobTitle names a job for people: `hook "pre_start of web"` for a hook, else its own name.
func JobTitle(name string) string {
	if service, n, ok := HookOf(name); ok {
		return fmt.Sprintf("hook %q", hookTitle(HookPreStart, service, n))
	}
	return name
}
