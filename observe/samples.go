package observe

import (
	"context"
	"time"

	"rhumb"
)

// Label is a name and a value by which a series differs from others.
type Label struct{ Name, Value string }

// Series is what a sample belongs to. It doesn't change. It is made once and its pointer kept, so that a store can
// recognise it by the pointer alone.
type Series struct {
	Name   string  // "rhumb_replica_cpu_seconds_total"; docs/metrics.md has all of them
	Labels []Label // sorted by name; none has an empty value, or the name "__name__"
}

// Sample is a value of a series.
type Sample struct {
	Series *Series
	Value  float64
}

// SampleSink keeps samples. It is safe for concurrent use.
type SampleSink interface {
	// Add takes samples of one time. Those that can't be kept, because the disk is full or a series has a later sample
	// already, are dropped and counted; the error is the first reason. It keeps no reference to the slice.
	Add(ctx context.Context, at time.Time, samples []Sample) error
	// End says that a series has no more samples, so that queries don't go on with its last value for five minutes.
	// The series may have samples again.
	End(ctx context.Context, at time.Time, series []*Series) error
}

// Standings is what the daemon last said of the stacks. It never waits for the daemon.
type Standings interface {
	// Stack returns a stack as it stood at the last look, and when that was. The zero time: nothing is known of it.
	Stack(name string) (rhumb.StackInfo, time.Time)
	// All returns all stacks that are known, sorted by name.
	All() []rhumb.StackInfo
}
