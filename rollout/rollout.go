// Package rollout decides. Given what is wanted and what is observed it gives the next steps; it has no clock,
// no memory and no I/O, so that the same look always gives the same steps. DESIGN.md beside it argues for its rules.
package rollout

import (
	"time"

	"rhumb"
)

// Mode is how hard the wanted release is pursued.
type Mode int

const (
	// Hold keeps what is there as the release wants it: what dies is replaced, with back-off.
	Hold Mode = iota
	// Deploy brings the stack to a new release by the services' update policies. Failures of new replicas count.
	Deploy
	// Restore puts the stack back by the services' rollback policies, and removes what the failed release made.
	Restore
)

// Wanted is what shall be.
type Wanted struct {
	Stack    string
	Release  int          // 0: nothing shall be left
	Model    *rhumb.Stack // images resolved, Ready chosen; nil: nothing shall be left
	Previous *rhumb.Stack // the release that is left behind; nil: none or not known
	Mode     Mode
	RunJobs  bool              // Deploy: run jobs whose spec has changed
	Checked  []string          // services whose check has passed in this deployment already
	Jobs     []string          // services whose job completed in this deployment already
	Failures []rhumb.Failure   // in this deployment, replicas of Release
	Volumes  bool              // with Release 0: remove volumes too
	Specs    map[string]string // Model's spec hashes by service, if they are known already; missing ones are computed
	OldSpecs map[string]string // Previous's, likewise
	Since    time.Time         // when the deployment began: replicas that were started before aren't its failures; zero: not known
}

// Observed is what a look at the engine and the proxy's acknowledged table has shown.
type Observed struct {
	Replicas  []rhumb.Replica
	Ready     map[string]time.Time // by replica ID: since when it is ready; missing: it isn't (yet)
	Accepts   map[string]bool      // by replica ID: its check passes, but hasn't for as long as its window yet
	Recorded  map[string]bool      // by replica ID: its failure has been written down
	Routes    map[string]Route     // by replica ID; missing: not in the table
	Published map[string]string    // address (rhumb.Service.Addresses) -> service, in the table
	Networks  []string             // the stack's own
	Volumes   []string             // the stack's own, and those that the wanted release names and that are there
	Stopping  map[string]bool      // by replica ID: a stop is under way; it isn't ready any more, whatever it says
	Segments  map[string]bool      // networks in which services have addresses of their own, or will have once they are there
	Severed   map[string]bool      // by replica ID: it was cut off from a network that its spec names
	PostStart map[string]time.Time // by replica ID, of those that have post_start hooks: when these had completed; zero: not yet, so it isn't ready
	Watched   time.Time            // since when readiness is looked for: nobody's time runs out sooner than from here; zero: always
}

// Route is a replica's place in the acknowledged table.
type Route struct {
	Draining bool
	Since    time.Time // when it began to drain
	Open     int       // connections and requests in flight
	Busy     int       // those of them that aren't quiet; a kept connection between two requests is
}

// Decision is what to do now.
type Decision struct {
	// Steps may be performed side by side. A step that is under way is given again until its effect is observed.
	Steps []rhumb.Step
	// Done: it is as wanted. With Hold and Deploy old replicas may still be draining; with Restore and with
	// Release 0 nothing else is left.
	Done bool
	// Failed says in plain words why the mode can't reach what is wanted: too many failures. "" otherwise.
	Failed string
	// Action is what the policy of the service that failed asks for; only with Failed.
	Action rhumb.FailureAction
	// Left names what isn't as wanted, in plain words, once Failed is set.
	Left []string
	// Waiting says what is waited for, in plain words, by service.
	Waiting map[string]string
	// Wake is when to look again at the latest; zero: only once something changes.
	Wake time.Time
}

// Next decides what to do now.
func Next(w Wanted, o Observed, now time.Time) Decision {
	t := newTurn(w, &o, now)
	if t.deploymentFailed() {
		t.keepRoutesSafe()
		return t.d
	}
	t.prepare()
	for _, s := range t.services {
		if s.Job {
			s.runJob()
		} else {
			s.roll()
		}
	}
	t.moveAddresses()
	t.cleanUp()
	t.conclude()
	return t.d
}
