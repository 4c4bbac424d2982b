package observed

import (
	"context"
	"errors"

	"rhumb"
	"rhumb/observe"
)

// outlet sends lines to other systems. observe/forward has the real one.
type outlet interface {
	// Append takes lines without waiting. It keeps no reference to them.
	Append(lines []rhumb.LogLine)
	// Sync returns once all lines that were appended are on disk or counted as lost, or ctx ends.
	Sync(ctx context.Context) error
	// Status returns how each destination is doing.
	Status() []rhumb.LogDestination
}

// sink is the store that the collector fills. It passes each line on that the store took.
type sink struct {
	observe.Sink
	out outlet
}

func (s sink) Append(ctx context.Context, lines []rhumb.LogLine) (int, error) {
	n, err := s.Sink.Append(ctx, lines)
	s.out.Append(lines[:n])
	return n, err
}

func (s sink) Sync(ctx context.Context, stacks ...string) error {
	return errors.Join(s.Sink.Sync(ctx, stacks...), s.out.Sync(ctx))
}

// LogDestinations implements rhumb.LogForwarding.
func (s sink) LogDestinations(context.Context) ([]rhumb.LogDestination, error) {
	return s.out.Status(), nil
}

// outlive returns a part of the process that runs the collector until ctx ends, and the outlet for longer: what the
// collector appends and syncs at its end still goes to the queues.
func outlive(collect, send func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		sending, stop := context.WithCancel(context.WithoutCancel(ctx))
		defer stop()
		sent := make(chan error, 1)
		go func() { sent <- send(sending) }()
		err := collect(ctx)
		stop()
		return errors.Join(err, <-sent)
	}
}
