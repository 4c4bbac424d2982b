package standing

import (
	"fmt"
	"time"

	"rhumb"
)

// Mode is how the wanted release is pursued.
type Mode int

const (
	// Hold keeps the stack as the release describes it. A replica that dies is replaced, with back-off.
	Hold Mode = iota
	// Deploy brings the stack to a new release by the services' update policies. Failures of new replicas count.
	Deploy
	// Restore puts the stack back by the services' rollback policies, and removes what the failed release made.
	Restore
)

// Wanted is the release to reach, and what is known of the deployment that is to reach it.
type Wanted struct {
	Stack    string
	Release  int          // 0: remove the stack
	Model    *rhumb.Stack // Release's, with images resolved and Ready chosen; nil: remove the stack
	Previous *rhumb.Stack // the model of the release that is left behind; nil: none, or not known
	Mode     Mode
	RunJobs  bool              // Deploy: run jobs whose spec has changed
	Checked  []string          // services whose check has passed in this deployment
	Jobs     []string          // services whose job has completed in this deployment
	Failures []rhumb.Failure   // of this deployment; those of other releases don't count
	Volumes  bool              // with Release 0: remove volumes too
	Specs    map[string]string // Model's spec hashes by service; those that are missing are computed
	OldSpecs map[string]string // Previous's, likewise
	Since    time.Time         // when the deployment began; replicas started earlier can't fail it; zero: not known
}

// Made reports whether this deployment has made the replica.
func (w *Wanted) Made(r *rhumb.Replica) bool {
	if r.Release != w.Release {
		return false
	}
	made := r.Started
	if made.IsZero() {
		made = r.Created
	}
	return made.IsZero() || w.Since.IsZero() || !made.Before(w.Since)
}

// Ref returns the release as people write it: "shop@42".
func (w *Wanted) Ref() string { return fmt.Sprintf("%s@%d", w.Stack, w.Release) }

// model returns the wanted model; nil: the stack is to be removed.
func (w *Wanted) model() *rhumb.Stack {
	if w.Release == 0 {
		return nil
	}
	return w.Model
}
