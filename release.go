package rhumb

import "time"

// Release is an immutable, numbered snapshot of a stack.
type Release struct {
	ReleaseInfo
	Model Stack // sealed in the store
}

// ReleaseInfo is what anyone may know of a release: no values of variables, no contents.
type ReleaseInfo struct {
	Stack  string
	Number int // from 1
	At     time.Time
	By     string // the user, and what the client says: "ada (ada@laptop)"
	Git    Git    `json:",omitzero"`
	// Origin is where the files came from: a git remote and the folder in it ("github.com/acme/shop/deploy"), or a
	// machine and its folder ("laptop:/home/ada/shop"). "": unknown.
	Origin  string `json:",omitzero"`
	Cause   Cause
	Note    string            `json:",omitzero"` // "scale web=3"
	Images  map[string]Image  `json:",omitzero"` // by service
	Specs   map[string]string `json:",omitzero"` // spec hash by service
	Served  bool              `json:",omitzero"` // it has converged once, and can be rolled back to
	Current bool              `json:",omitzero"` // it serves now
}

// Git is the revision of the user's files.
type Git struct {
	Commit string `json:",omitzero"` // in full; "": not in a repository
	Branch string `json:",omitzero"`
	Dirty  bool   `json:",omitzero"` // with uncommitted changes
}

// Cause is what was asked for.
type Cause string

const (
	CauseDeploy   Cause = "deploy"
	CauseScale    Cause = "scale"
	CauseRestart  Cause = "restart"
	CauseRollback Cause = "rollback"
	CauseDown     Cause = "down"
)
