package act

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/card"
	"rhumb/control/oneoff"
	"rhumb/control/ready"
	"rhumb/control/scene"
	"rhumb/internal/pause"
)

// check runs a service's check and records how it went.
func (p *Performer) check(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	svc := s.Wanted.Model.Service(step.Service)
	if svc == nil || svc.After == nil || s.Open == nil {
		return nil
	}
	run := rhumb.HookRun{Kind: rhumb.HookAfter, Number: 1, Service: svc.Name, Release: step.Release}
	run, err := p.ask(ctx, s, svc, run)
	if err == nil && run.Failed == "" && len(svc.After.Command) > 0 {
		k := svc.Container
		k.Command = svc.After.Command
		spec := oneoff.ForHook(s, svc, oneoff.Container(k, rhumb.ExecOptions{}), 1)
		spec.Release, spec.OneOff = step.Release, fmt.Sprintf("after.%d", step.Release)
		run, err = p.beside(ctx, s, spec, run, svc.After.Timeout)
	}
	if err != nil {
		return err
	}
	p.Hook(ctx, s, run)
	if run.Failed != "" {
		return p.Fail(ctx, s, rhumb.Failure{At: run.At, Service: svc.Name, Release: step.Release,
			Reason: "the check after it is in place failed: " + run.Failed,
			Logs:   card.Ending(run.Logs), Hint: card.HookHint(p.stack, step.Release, svc.Name, svc.After.Command)})
	}
	_, err = p.Ledger.Update(ctx, p.stack, s.Open.ID, func(d *rhumb.Deployment) error {
		if d.Phase == rhumb.PhaseRolling && !slices.Contains(d.Checked, svc.Name) {
			d.Checked = append(d.Checked, svc.Name)
		}
		return nil
	})
	return err
}

// ask sends HTTP requests to all replicas of a service until each has answered or the time is up.
func (p *Performer) ask(
	ctx context.Context, s *scene.Scene, svc *rhumb.Service, run rhumb.HookRun,
) (rhumb.HookRun, error) {
	waited, done := p.waits.context(ctx)
	defer done()
	limited, cancel := context.WithTimeoutCause(waited, svc.After.Timeout, card.ErrTooLong)
	defer cancel()
	began := time.Now()
	var out card.Tail
	for _, rep := range s.Observed.Replicas {
		ours := rep.Service == svc.Name && rep.Spec == s.Wanted.Specs[svc.Name] && rep.Slot != 0
		if svc.After.Path == "" || !ours || !rep.Alive() {
			continue
		}
		at, err := s.Address(rep)
		if err != nil {
			return run, err
		}
		addr := netip.AddrPortFrom(at, svc.After.Port)
		for err = ready.Ask(limited, addr, svc.After.Path); err != nil && limited.Err() == nil; {
			pause.For(limited, ready.Latest)
			_, _ = fmt.Fprintf(&out, "%s: %v\n", rep.Name(), err) // into memory, it can't fail
			err = ready.Ask(limited, addr, svc.After.Path)
		}
		if oneoff.Abandoned(limited) {
			return run, limited.Err()
		}
		if err != nil {
			card.Finish(&run, &out, began, fmt.Sprintf("GET %s on port %d was not answered with 200 to 399 within %s",
				svc.After.Path, svc.After.Port, svc.After.Timeout))
			return run, nil
		}
	}
	card.Finish(&run, &out, began, "")
	return run, nil
}
