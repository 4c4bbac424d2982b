package enginefake

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"rhumb"
)

// oneOffs are replicas that run one command.
type oneOffs struct {
	*starter
	hand *hand
}

// Run starts a one-off, writes its lines, and returns its exit code. It takes as long as its behaviour says.
func (of *oneOffs) Run(ctx context.Context, spec rhumb.ReplicaSpec, s rhumb.Streams) (int, error) {
	if err := of.enter(ctx, "Run"); err != nil {
		return 0, err
	}
	if spec.OneOff == "" {
		spec.OneOff = fmt.Sprint(of.made)
	}
	r, err := of.start(&spec)
	of.mu.Unlock()
	if err != nil {
		return 0, err
	}
	defer of.hand.Drop(r.base.ID)
	if s.Begun != nil {
		s.Begun()
	}
	select {
	case <-time.After(r.behaviour.ExitAfter):
	case <-s.Signals:
		return r.behaviour.StopCode, nil
	case <-ctx.Done():
		return 0, rhumb.Errorf(rhumb.Cancelled, "run %s: %w", r.name, ctx.Err())
	}
	if r.base.Error != "" {
		return 0, rhumb.Errorf(rhumb.Invalid, "run %s: %s", r.name, r.base.Error)
	}
	for _, text := range r.behaviour.Output {
		w := s.Out
		text, stderr := strings.CutPrefix(text, "!")
		if stderr {
			w = s.Err
		}
		if w != nil {
			if _, err := io.WriteString(w, text+"\n"); err != nil {
				return 0, err
			}
		}
	}
	if s.In != nil && r.behaviour.Exec != nil {
		return r.behaviour.Exec(rhumb.ExecOptions{Command: spec.Container.Command, Streams: s}), nil
	}
	return r.behaviour.ExitCode, nil
}
