// Package observe keeps what stacks write. Its rooms know each other only by the ports in this file:
//
//	containers ── collect ──▶ Sink (logstore) ──▶ Lines ── httpapi ── rhumb logs
//	                            └────▶ forward ──▶ syslog, GELF, Fluentd, Loki, OTLP, Elasticsearch
//
// All of it runs in a process of its own, "rhumb observe", which may die at any time. Nothing that serves or decides
// waits for it.
package observe

import (
	"context"
	"time"

	"rhumb"
)

// Sink keeps lines. It is safe for concurrent use.
type Sink interface {
	// Append takes lines, of several containers and in the order in which each wrote them. It keeps no reference to
	// them. It returns how many of them it took: fewer than all, with an error, if the rest can't be kept now, because
	// the disk or the stack's share is full. The caller may try the rest again, or count it with Drop.
	// Lines that were taken are visible at once, and on the disk after the next Sync.
	Append(ctx context.Context, lines []rhumb.LogLine) (int, error)
	// Drop counts lines of a service that were never taken.
	Drop(stack, service string, release int, lines int64)
	// Sync returns once all lines of these stacks that were taken are on the disk; with no stack, those of all.
	Sync(ctx context.Context, stacks ...string) error
	// Since calls yield for each kept line of a container from a time on, in no order, until yield returns false. The
	// lines have the very times and texts that were appended, also if they are empty. The zero time means all lines of
	// the container. The collector finds out with it which lines it had appended before it died, but not yet recorded.
	Since(ctx context.Context, container string, from time.Time, yield func(rhumb.LogLine) bool) error
}
