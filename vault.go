package rhumb

import "context"

// Vault keeps the values that external secrets and configs name. Their contents are sealed before they reach the disk.
type Vault interface {
	// Value returns a value's content. NotFound: there is no such value.
	Value(ctx context.Context, name string) ([]byte, error)
	// SetValue stores a value in place of the one with that name. Invalid: the name is empty.
	SetValue(ctx context.Context, name string, content []byte) error
	// RemoveValue removes a value. A value that is not there is not an error.
	RemoveValue(ctx context.Context, name string) error
	// Values returns the names of all values, sorted.
	Values(ctx context.Context) ([]string, error)
}
