package rhumb

import "context"

// Ledger keeps what was deployed and what is being deployed: stacks, their deployments and their releases. Models and
// failures are sealed before they reach the disk.
type Ledger interface {
	StackLedger
	DeploymentLedger
	ReleaseLedger
}

// StackLedger keeps where each stack stands.
// A stack begins with its first deployment and ends with a deployment to nothing. Its numbers never start over.
type StackLedger interface {
	// Stacks returns the stacks that have been deployed and not taken down, sorted by name.
	Stacks(ctx context.Context) ([]StackState, error)
	// StackState returns where a stack stands. For an unknown stack it returns a StackState with nothing but its name.
	StackState(ctx context.Context, name string) (StackState, error)
	// RemoveStack removes the releases and settings of a stack that is down. The stack's deployments stay, and its
	// numbers continue if it comes back. Conflict: a release of the stack serves, or a deployment is open. An unknown
	// stack is not an error.
	RemoveStack(ctx context.Context, name string) error
}

// StackState is where a stack stands.
type StackState struct {
	Name    string
	Current int   // the release that serves, or that the last deployment left; 0: none
	Open    int64 // the deployment that is open; 0: none
	Last    int   // the highest release number so far
}

// DeploymentLedger keeps deployments. A deployment is open from Begin until it is saved in a phase that has ended; a
// stack has at most one that is open.
type DeploymentLedger interface {
	// Begin stores a new release, gives it the stack's next number, and opens a deployment to it, all in one
	// transaction. It writes the number to r too. For a deployment to an older release, or to nothing, r is nil and
	// d.To says which. A d.From of 0 becomes the release that serves.
	// Locked: another deployment of the stack is open; the message names its user and start. Conflict: d.From no longer
	// serves. NotFound: r is nil, and the stack has no release d.To.
	Begin(ctx context.Context, r *Release, d Deployment) (Deployment, error)
	// Save stores a deployment and returns it with its next Rev. If the phase has ended, the same transaction makes To
	// the stack's current release (converged, incomplete, paused) or leaves From, and marks a converged release as
	// served. A deployment that has ended can still be changed, but not its phase.
	// Conflict: d.Rev is not the stored one, or the stored phase has ended and d.Phase is another. NotFound: the stack
	// has no such deployment.
	Save(ctx context.Context, d Deployment) (Deployment, error)
	// Deployment returns a deployment; with id 0, the stack's last one. NotFound: there is none.
	Deployment(ctx context.Context, stack string, id int64) (Deployment, error)
	// Deployments returns a stack's deployments, newest first, at most limit (0: all). The last 500 are kept. An
	// unknown stack has none.
	Deployments(ctx context.Context, stack string, limit int) ([]Deployment, error)
}

// ReleaseLedger keeps releases. Only DeploymentLedger.Begin makes them; they never change.
type ReleaseLedger interface {
	// Release returns a release with its model. NotFound: the stack has no such release, or it was removed.
	Release(ctx context.Context, stack string, number int) (Release, error)
	// Releases returns what is known of a stack's releases, newest first. An unknown stack has none.
	Releases(ctx context.Context, stack string) ([]ReleaseInfo, error)
	// RemoveRelease removes a release; the deployments to it stay. Conflict: the release serves, or an open deployment
	// needs it. A release that is not there is not an error.
	RemoveRelease(ctx context.Context, stack string, number int) error
}
