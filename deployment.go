package rhumb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Deployment is the act of bringing a stack from one release to another.
type Deployment struct {
	ID       int64 // grows over all stacks
	Stack    string
	Cause    Cause
	From     int // the release that served before; 0: none
	To       int // 0: nothing, the stack is taken down
	By       string
	Request  string `json:",omitzero"` // the ID that the client gave its request: its client finds the deployment by it
	Started  time.Time
	Ended    time.Time `json:",omitzero"`
	Phase    Phase
	Why      string    `json:",omitzero"` // why it is rolled back or paused
	Failures []Failure `json:",omitzero"` // replicas that failed, oldest first
	Jobs     []string  `json:",omitzero"` // jobs that completed: what they did to data remains
	Hooks    []HookRun `json:",omitzero"` // hooks that ran, in the order of their ends; the first hundred or so
	Checked  []string  `json:",omitzero"` // services whose check (Service.After) has passed
	Left     []string  `json:",omitzero"` // what isn't as it must be, once it ended stuck
	Kept     []string  `json:",omitzero"` // the volumes that remain, once it ended with nothing else of the stack
	Loose    []string  `json:",omitzero"` // mounted paths (Stack.Unversioned) that a rollback left as they are
	Cancel   bool      `json:",omitzero"` // it was cancelled and is rolled back
	Volumes  bool      `json:",omitzero"` // down: the user asked to remove the volumes too
	Rev      int64     // of this record, for compare-and-swap

	Before   Tally             `json:",omitzero"` // what the proxy had counted when the deployment began
	Unserved map[string]uint64 `json:",omitzero"` // by service: connections and requests that weren't served meanwhile
}

// Tally is what a proxy has counted of a stack. The zero Tally is unknown.
type Tally struct {
	Proxy    time.Time         // when the proxy began to count
	Unserved map[string]uint64 `json:",omitzero"` // by service
}

// Phase is where a deployment is. There is no other flag beside it.
type Phase string

const (
	PhaseRolling     Phase = "rolling"      // towards the new release
	PhaseRollingBack Phase = "rolling back" // towards the old one
	PhaseConverged   Phase = "converged"    // ended: the new release serves
	PhaseRolledBack  Phase = "rolled back"  // ended: the old release serves, nothing of the new one is left
	PhaseStuck       Phase = "stuck"        // ended: neither in full; Left says what is missing
	PhasePaused      Phase = "paused"       // ended: left as it is, as failure_action asks
	PhaseIncomplete  Phase = "incomplete"   // ended: the new release with failed replicas, as failure_action asks
)

// next is the one transition table.
var next = map[Phase][]Phase{
	PhaseRolling:     {PhaseRollingBack, PhaseConverged, PhasePaused, PhaseIncomplete, PhaseStuck},
	PhaseRollingBack: {PhaseRolledBack, PhaseStuck},
}

// Phases lists all phases.
func Phases() []Phase {
	return []Phase{
		PhaseRolling, PhaseRollingBack, PhaseConverged, PhaseRolledBack, PhaseStuck, PhasePaused, PhaseIncomplete,
	}
}

// Ended reports whether no phase follows.
func (p Phase) Ended() bool { return len(next[p]) == 0 }

// Move brings the deployment to another phase, or returns Internal if none leads there. Only Move writes Phase.
func (d *Deployment) Move(to Phase, now time.Time, why string) error {
	if !slices.Contains(next[d.Phase], to) {
		return Errorf(Internal, "deployment %d of %s can't go from %q to %q", d.ID, d.Stack, d.Phase, to)
	}
	d.Phase = to
	if why != "" {
		d.Why = why
	}
	if to.Ended() {
		d.Ended = now
	}
	return nil
}

// Failure is why one replica failed: the failure card. It is kept after the container is gone.
type Failure struct {
	At       time.Time
	Service  string
	Slot     int
	Release  int
	Replica  string   // its name
	ID       string   // the engine's
	Reason   string   // "exited with 1 before it was ready"
	Ended    bool     `json:",omitzero"` // it had started, and ended of its own accord
	ExitCode int      `json:",omitzero"`
	OOM      bool     `json:",omitzero"`
	Health   string   `json:",omitzero"` // the last output of the health check
	Logs     []string `json:",omitzero"` // its last lines
	Hint     string   `json:",omitzero"`
}

// Exit codes of the command line; each verdict has its own.
const (
	ExitConverged  = 0
	ExitError      = 1 // an error; nothing changed
	ExitUsage      = 2 // usage or bad input; nothing changed
	ExitRolledBack = 3 // failed and put back as it was
	ExitStuck      = 4 // failed and not fully put back
	ExitTimeout    = 5 // still in progress
	ExitPaused     = 6 // paused, as asked
	ExitCancelled  = 130
)

// Verdict is the truth about a deployment, in the same words everywhere.
type Verdict struct {
	Exit int
	Text string
}

// Verdict returns how the deployment ended, or that it goes on.
func (d *Deployment) Verdict() Verdict {
	v := d.verdict()
	v.Text += d.lost()
	return v
}

func (d *Deployment) verdict() Verdict {
	to, from := ref(d.Stack, d.To), ref(d.Stack, d.From)
	switch d.Phase {
	case PhaseConverged:
		if d.To == 0 {
			return Verdict{ExitConverged, fmt.Sprintf("%s is down%s", d.Stack, d.kept("; nothing is left"))}
		}
		return Verdict{ExitConverged, "converged: " + to + " serves" + d.endured() + d.unheeded() + d.loose()}
	case PhaseRolledBack:
		v := Verdict{ExitRolledBack, fmt.Sprintf("failed and put back: %s serves; %s", from, d.because())}
		if d.From == 0 {
			v.Text = fmt.Sprintf("failed and put back: nothing of %s is left%s; %s", to, d.kept(""), d.because())
		}
		if d.Cancel {
			v.Exit = ExitCancelled
			v.Text = strings.Replace(v.Text, "failed and put back", "cancelled and put back", 1)
		}
		v.Text += d.remains() + d.loose()
		return v
	case PhaseStuck:
		return Verdict{ExitStuck, fmt.Sprintf("failed and not fully put back: %s; %s%s%s",
			strings.Join(d.Left, "; "), d.because(), d.remains(), d.loose())}
	case PhasePaused:
		text := fmt.Sprintf("paused between %s and %s, as failure_action asks: %s", from, to, d.because())
		return Verdict{ExitPaused, text}
	case PhaseIncomplete:
		text := fmt.Sprintf("incomplete: %s serves, as failure_action: continue asks, without %s",
			to, strings.Join(d.Left, ", "))
		return Verdict{ExitStuck, text}
	default:
		return Verdict{ExitTimeout, fmt.Sprintf("still %s: %s to %s", d.Phase, from, to)}
	}
}

func (d *Deployment) because() string {
	if d.Why == "" {
		return "no reason was recorded"
	}
	return d.Why
}

// remains names what a deployment that was put back did to data. Rhumb never undoes that.
func (d *Deployment) remains() string {
	var names []string
	for _, j := range d.Jobs {
		names = append(names, JobTitle(j))
	}
	for _, r := range d.Hooks {
		name := fmt.Sprintf("hook %q", r.Title())
		if r.Failed == "" && r.Release == d.To && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s of %s had completed: what it did to data remains",
		strings.Join(names, ", "), ref(d.Stack, d.To))
}

// lost names the services whose connections or requests weren't served, and how many.
func (d *Deployment) lost() string {
	var text strings.Builder
	for _, service := range slices.Sorted(maps.Keys(d.Unserved)) {
		text.WriteString("; meanwhile " + Unserved(service, d.Unserved[service]))
	}
	return text.String()
}

// Unserved returns the words for n connections or requests to a service that weren't served.
func Unserved(service string, n uint64) string {
	if n == 1 {
		return "1 connection or request to " + service + " wasn't served"
	}
	return fmt.Sprintf("%d connections or requests to %s weren't served", n, service)
}

// endured names the services whose replicas had ended, and were started again, before they were ready.
func (d *Deployment) endured() string {
	var names []string
	times := map[string]int{}
	for _, f := range d.Failures {
		if !f.Ended || f.Release != d.To {
			continue
		}
		if times[f.Service]++; times[f.Service] == 1 {
			names = append(names, f.Service)
		}
	}
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "; %s had ended %s before it was ready", name, Times(times[name]))
	}
	return text.String()
}

// Times returns the words for a number of times: "once", "twice", "3 times".
func Times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// unheeded names the hooks that failed without stopping the deployment.
func (d *Deployment) unheeded() string {
	var names []string
	for _, r := range d.Hooks {
		name := fmt.Sprintf("hook %q of %s failed: %s", r.Title(), ref(d.Stack, r.Release), r.Failed)
		if r.Failed != "" && r.Kind == HookPreStop && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; " + strings.Join(names, "; ")
}

// loose names the mounted paths whose content no release holds.
func (d *Deployment) loose() string {
	if len(d.Loose) == 0 {
		return ""
	}
	is := "is"
	if len(d.Loose) > 1 {
		is = "are"
	}
	return fmt.Sprintf("; %s %s bind-mounted and not part of a release: the content stays as it is",
		strings.Join(d.Loose, ", "), is)
}

// kept names the volumes that remain, and the command that removes them.
func (d *Deployment) kept(lead string) string {
	if len(d.Kept) == 0 {
		return ""
	}
	word, it := "volume", "it"
	if len(d.Kept) > 1 {
		word, it = "volumes", "them"
	}
	return fmt.Sprintf("%s but the %s %s (rhumb down -p %s --volumes removes %s)",
		lead, word, strings.Join(d.Kept, ", "), d.Stack, it)
}

func ref(stack string, release int) string {
	if release == 0 {
		return "nothing of " + stack
	}
	return fmt.Sprintf("%s@%d", stack, release)
}
