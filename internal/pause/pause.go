// Package pause waits for a while.
package pause

import (
	"context"
	"time"
)

// For waits for d, unless ctx ends first. It tells whether ctx goes on.
func For(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}
