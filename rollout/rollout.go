// Package rollout decides. Next takes what is wanted and what is observed, and returns the next steps. It has no clock,
// no memory and no I/O: the same look has the same decision. DESIGN.md beside it argues for its rules.
package rollout

import (
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

type (
	// Wanted is the release to reach, and what is known of the deployment that is to reach it.
	Wanted = standing.Wanted
	// Mode is how the wanted release is pursued: Hold, Deploy or Restore.
	Mode = standing.Mode
	// Observed is what one look at the engine and at the proxy's acknowledged table has shown. Its maps may be nil.
	Observed = standing.Observed
	// Route is a replica's place in the acknowledged table.
	Route = standing.Route
)

// The modes.
const (
	Hold    = standing.Hold    // keep the stack as the release describes it
	Deploy  = standing.Deploy  // bring the stack to a new release, by its update policies
	Restore = standing.Restore // put the stack back, by its rollback policies
)

// Decision is what to do now.
type Decision struct {
	// Steps may be performed side by side. A step that is under way is returned again until its effect is observed.
	Steps []rhumb.Step
	// Done: the wanted release is reached. With Hold and Deploy old replicas may still drain; with Restore and with
	// Release 0 nothing else is left.
	Done bool
	// Failed says in plain words why the mode can't reach what is wanted: too much has failed. "" otherwise.
	Failed string
	// Action is what the policy of the service that failed asks for; only with Failed.
	Action rhumb.FailureAction
	// Left names what isn't as wanted, in plain words, once Failed is set, or Done in spite of failures.
	Left []string
	// Waiting says what is waited for, in plain words, by service.
	Waiting map[string]string
	// Wake is when to look again at the latest; zero: only once something changes.
	Wake time.Time
}

// Next decides what to do now. It reads o and keeps nothing of it.
func Next(w Wanted, o Observed, now time.Time) Decision {
	return decide(standing.Of(w, &o, now))
}

// Completed reports whether a replica of a job has done its work: it has exited with 0, and in time.
func Completed(def *rhumb.Service, r rhumb.Replica) bool { return standing.Completed(def, r) }

// ReadySince reports whether a replica of a service counts as ready, and since when. If since is still to come, the
// replica counts as ready from then on unless something happens before. def is nil if the service isn't known.
func ReadySince(o *Observed, def *rhumb.Service, r rhumb.Replica) (since time.Time, ok bool) {
	return standing.ReadySince(o, def, &r)
}

// RetryAt returns when Hold starts a dead replica of a service again; zero: it stays as it is.
func RetryAt(def *rhumb.Service, r rhumb.Replica) time.Time { return standing.RetryAt(def, r) }

// decide turns how a stack stands into the next steps.
func decide(st *standing.Stack) Decision {
	t := newTurn(st)
	failed, look := st.Failed()
	t.look = look
	switch {
	case failed != nil:
		t.fail(failed.Reason, failed.Action)
		t.keepRoutesSafe()
	case st.AddressesFirst():
		t.address()
		return t.decision() // the names would be those of the old table
	default:
		t.prepare()
		for _, s := range st.Services {
			strategyOf(s)(t, s)
		}
		t.moveAddresses()
		cleanup{t, st.Settled() && st.Published()}.run()
		t.conclude()
		t.address()
	}
	t.name()
	return t.decision()
}

// strategy brings one service one move nearer to the wanted release. Each has a file of its own, with all of its moves:
// what it starts, what it waits for, and what it retires.
type strategy func(t *turn, s *standing.Service)

// strategyOf is the only place that knows which strategies there are.
func strategyOf(s *standing.Service) strategy {
	if s.Job {
		return run
	}
	return roll
}
