package measure

import (
	"context"
	"time"

	"rhumb/internal/pause"
)

// every calls do at each multiple of d, with that time, until ctx ends. A call has until the next one is due. Calls
// that are due while one goes on are left out.
func every(ctx context.Context, d time.Duration, do func(ctx context.Context, at time.Time)) {
	var last time.Time
	for {
		now := time.Now()
		at := now.Truncate(d).Add(d)
		if at.Equal(last) { // the clock was a little behind the timer
			at = at.Add(d)
		}
		last = at
		if !pause.For(ctx, at.Sub(now)) {
			return
		}
		c, cancel := context.WithTimeout(ctx, d)
		do(c, at)
		cancel()
	}
}
