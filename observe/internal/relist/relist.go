// Package relist decides when an engine's containers are listed: whenever the engine reports a change, and every now
// and then, because a report can get lost.
package relist

import (
	"context"
	"time"

	"rhumb"
	"rhumb/internal/pause"
)

// Loop lists again and again.
type Loop struct {
	Watch func(context.Context) (<-chan rhumb.Change, error) // the engine's changes; they end when it goes away
	List  func(context.Context)
	Asked <-chan chan struct{} // asks for a list; what was sent is closed once it is made. nil: only changes ask
	Every time.Duration        // at the latest
	Pause time.Duration        // at least, between a change and its list
	Retry time.Duration        // until Watch is called again after it has failed or ended
}

// Run lists until ctx ends: at once first.
func (l Loop) Run(ctx context.Context) {
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	var changes <-chan rhumb.Change
	var retry <-chan time.Time
	var asked chan struct{}
	for ctx.Err() == nil {
		if changes == nil && retry == nil {
			var err error
			if changes, err = l.Watch(ctx); err != nil {
				changes, retry = nil, time.After(l.Retry)
			}
		}
		l.List(ctx)
		if asked != nil {
			close(asked)
			asked = nil
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-retry:
			retry = nil
		case asked = <-l.Asked:
		case _, ok := <-changes:
			if !ok {
				changes, retry = nil, time.After(l.Retry)
			}
			pause.For(ctx, l.Pause)
			changes = discard(changes)
		}
	}
}

// discard takes the changes that wait: one list shows them all. It returns nil if the channel was closed.
func discard(changes <-chan rhumb.Change) <-chan rhumb.Change {
	for {
		select {
		case _, ok := <-changes:
			if !ok {
				return nil
			}
		default:
			return changes
		}
	}
}
