package docker

import (
	"context"
	"iter"

	"rhumb"
)

var errNotYet = rhumb.Errorf(rhumb.Unsupported, "not there yet")

// Probe is not there yet.
func (e *Engine) Probe(context.Context, string, rhumb.Healthcheck) error { return errNotYet }

// Logs is not there yet.
func (e *Engine) Logs(context.Context, string, rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) { yield(rhumb.LogLine{}, errNotYet) }
}

// Exec is not there yet.
func (e *Engine) Exec(context.Context, string, rhumb.ExecOptions) (int, error) { return 0, errNotYet }

// Run is not there yet.
func (e *Engine) Run(context.Context, rhumb.ReplicaSpec, rhumb.Streams) (int, error) {
	return 0, errNotYet
}
