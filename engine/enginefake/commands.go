package enginefake

import (
	"context"

	"rhumb"
)

// commands run in replicas.
type commands struct{ *state }

// Probe runs a replica's check once: it fails until the replica's behaviour makes it ready.
func (cs *commands) Probe(ctx context.Context, id string, check rhumb.Healthcheck) error {
	if err := cs.enter(ctx, "Probe"); err != nil {
		return err
	}
	defer cs.mu.Unlock()
	now := cs.now()
	r, err := cs.running(id, now)
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

// Exec has the replica's behaviour carry a command out.
func (cs *commands) Exec(ctx context.Context, id string, o rhumb.ExecOptions) (int, error) {
	if err := cs.enter(ctx, "Exec"); err != nil {
		return 0, err
	}
	r, err := cs.running(id, cs.now())
	cs.mu.Unlock()
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
