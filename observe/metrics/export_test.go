package metrics

import "context"

// Compact does what Run does each minute.
func (s *Store) Compact(ctx context.Context) error { return s.compact(ctx) }
