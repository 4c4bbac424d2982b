package enginefake

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"rhumb"
)

// Probe runs a replica's check once: it fails until the replica's behaviour makes it ready.
func (e *Engine) Probe(ctx context.Context, id string, check rhumb.Healthcheck) error {
	if err := e.enter(ctx, "Probe"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	now := e.now()
	r, err := e.running(id, now)
	if err != nil {
		return err
	}
	b, age := &r.behaviour, now.Sub(r.base.Started)
	if b.Probe != nil {
		return b.Probe(check)
	}
	if age >= b.ReadyAfter && !b.NeverReady && !b.flapped(age) {
		return nil
	}
	output := b.ProbeOutput
	if output == "" {
		output = "not ready"
	}
	return rhumb.Errorf(rhumb.Internal, "%s", output)
}

// running returns a running replica, or an error that says why there is none.
func (e *Engine) running(id string, now time.Time) (*replica, error) {
	r := e.byID(id)
	if r == nil {
		return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id)
	}
	if view := r.at(now); view.State != rhumb.StateRunning {
		return nil, rhumb.Errorf(rhumb.Conflict, "replica %s: it is %s", r.name, view.State)
	}
	return r, nil
}

// Logs yields the lines of the replica's behaviour, one per microsecond from its start.
func (e *Engine) Logs(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		if err := e.enter(ctx, "Logs"); err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		r := e.byID(id)
		if r == nil {
			e.mu.Unlock()
			yield(rhumb.LogLine{}, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id))
			return
		}
		lines := r.lines(o)
		e.mu.Unlock()
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
		if o.Follow {
			e.untilEnd(ctx, id)
		}
	}
}

// lines returns the replica's lines that the options select.
func (r *replica) lines(o rhumb.LogOptions) []rhumb.LogLine {
	var lines []rhumb.LogLine
	for i, text := range r.behaviour.Output {
		at := r.base.Started.Add(time.Duration(i) * time.Microsecond)
		if !o.Since.IsZero() && at.Before(o.Since) || !o.Until.IsZero() && at.After(o.Until) {
			continue
		}
		text, stderr := strings.CutPrefix(text, "!")
		lines = append(lines, rhumb.LogLine{Time: at, Stack: r.base.Stack, Service: r.base.Service, Replica: r.name,
			Stderr: stderr, Text: text})
	}
	switch {
	case o.Tail < 0:
		return nil
	case o.Tail > 0:
		return lines[max(0, len(lines)-o.Tail):]
	}
	return lines
}

// untilEnd waits until a replica ends, is gone, or ctx or the engine is.
func (e *Engine) untilEnd(ctx context.Context, id string) {
	for {
		e.mu.Lock()
		now, changed, away := e.now(), e.changed, e.away
		r, wait := e.byID(id), time.Hour
		alive := false
		if r != nil {
			view := r.at(now)
			alive = view.Alive()
			if at := r.next(now); !at.IsZero() {
				wait = at.Sub(now)
			}
		}
		e.mu.Unlock()
		if !alive || away {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Exec has the replica's behaviour carry a command out.
func (e *Engine) Exec(ctx context.Context, id string, o rhumb.ExecOptions) (int, error) {
	if err := e.enter(ctx, "Exec"); err != nil {
		return 0, err
	}
	r, err := e.running(id, e.now())
	e.mu.Unlock()
	if err != nil || r.behaviour.Exec == nil {
		return 0, err
	}
	done := make(chan int, 1)
	go func() { done <- r.behaviour.Exec(o) }()
	select {
	case code := <-done:
		return code, nil
	case <-ctx.Done():
		return 0, rhumb.Errorf(rhumb.Cancelled, "run a command in %s: %w", r.name, ctx.Err())
	}
}

// Run starts a one-off, writes its lines, and returns its exit code. It takes as long as its behaviour says.
func (e *Engine) Run(ctx context.Context, spec rhumb.ReplicaSpec, s rhumb.Streams) (int, error) {
	if err := e.enter(ctx, "Run"); err != nil {
		return 0, err
	}
	if spec.OneOff == "" {
		spec.OneOff = fmt.Sprint(e.made)
	}
	r, err := e.start(&spec)
	e.mu.Unlock()
	if err != nil {
		return 0, err
	}
	defer e.Drop(r.base.ID)
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
