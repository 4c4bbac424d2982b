package rhumb

import "context"

// Store keeps what must outlive the daemon. Models and values are sealed before they reach the disk.
// What a call has returned from is on disk. A call that finds the stored record newer than the one it was given
// changes nothing and answers Conflict.
type Store interface {
	// Stacks lists the stacks that were ever deployed and not taken down, by name.
	Stacks(ctx context.Context) ([]StackState, error)
	// StackState gives one stack's; the zero StackState with its Name if there is none.
	StackState(ctx context.Context, name string) (StackState, error)

	// Begin stores a new release (unless r is nil), numbers it, and opens a deployment to it, all at once. It fails with
	// Locked, naming who and since when, while another deployment of the stack is open. For a deployment to an
	// older release, or to none, r is nil and d.To is set. The number is also written to r. A d.From of 0 becomes the
	// release that serves; one that doesn't serve any more is Conflict.
	Begin(ctx context.Context, r *Release, d Deployment) (Deployment, error)
	// Save stores a deployment if d.Rev is the stored one's, and gives it back with the new Rev. With a phase that
	// ended, the stack's current release becomes To (converged, incomplete, paused) or stays From, in the same transaction,
	// and the release is marked served when it converged.
	Save(ctx context.Context, d Deployment) (Deployment, error)
	// Deployment gives one; the stack's last one if id is 0.
	Deployment(ctx context.Context, stack string, id int64) (Deployment, error)
	// Deployments lists a stack's, newest first, at most limit (0: all). The last 500 are kept.
	Deployments(ctx context.Context, stack string, limit int) ([]Deployment, error)

	Release(ctx context.Context, stack string, number int) (Release, error)
	// Releases lists a stack's, newest first.
	Releases(ctx context.Context, stack string) ([]ReleaseInfo, error)
	// RemoveRelease forgets a release's model; its deployments stay. One that is gone is not an error; one
	// that serves, or that an open deployment needs, is Conflict.
	RemoveRelease(ctx context.Context, stack string, number int) error
	// RemoveStack forgets a stack that is down: releases and state. Its deployments stay, and its numbers go on if it
	// comes back. One that serves or changes is Conflict; one that isn't there is not an error.
	RemoveStack(ctx context.Context, name string) error

	// Append stores an event and gives it its ID. The last 10,000 are kept. EventPull is not stored and keeps the ID 0.
	Append(ctx context.Context, e Event) (Event, error)
	// Events lists stored events, oldest first. Follow is not the store's.
	Events(ctx context.Context, f EventFilter) ([]Event, error)

	// Value gives a value that external secrets and configs name.
	Value(ctx context.Context, name string) ([]byte, error)
	SetValue(ctx context.Context, name string, content []byte) error
	RemoveValue(ctx context.Context, name string) error
	// Values lists their names, sorted.
	Values(ctx context.Context) ([]string, error)

	// Setting and SetSetting keep the daemon's own small facts, such as the host ports it chose. A missing one is "".
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error
}

// StackState is where a stack stands.
type StackState struct {
	Name    string
	Current int   // the release that serves, or that was last left; 0: none
	Open    int64 // the deployment that goes on; 0: none
	Last    int   // the highest release number given
}
