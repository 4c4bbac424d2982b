package rhumb

import "context"

// Settings keep small facts that the daemon has chosen or noticed and can't look up again. Each belongs to a scope: a
// stack's name, or "" for the daemon's own facts. StackLedger.RemoveStack removes the stack's scope. What is queried,
// or grows, belongs in a table of its own instead.
type Settings interface {
	// Setting returns a setting, or "" if it is not there.
	Setting(ctx context.Context, stack, key string) (string, error)
	// SetSetting stores a setting in place of the one with that key.
	SetSetting(ctx context.Context, stack, key, value string) error
	// RemoveSetting removes a setting. A setting that is not there is not an error.
	RemoveSetting(ctx context.Context, stack, key string) error
}
