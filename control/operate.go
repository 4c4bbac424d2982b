package control

import (
	"context"
	"slices"

	"rhumb"
)

// maxCommand is how long a command may be with its variables, in bytes. Docker Engine passes both to its helper
// through a pipe of 64 kB. If the helper dies while more is on its way, the engine never releases the container.
const maxCommand = 60_000

// checkCommand returns an Invalid error for a command that is too long for the engine.
func checkCommand(o rhumb.ExecOptions) error {
	size := 0
	for _, word := range slices.Concat(o.Entrypoint, o.Command, o.Env, []string{o.User, o.WorkingDir}) {
		size += len(word)
	}
	if size > maxCommand {
		return rhumb.Errorf(rhumb.Invalid,
			"the command with its variables is too long: %d bytes, and %d can be passed on", size, maxCommand).
			WithHint("pass long text on the standard input, or in a file")
	}
	return nil
}

// Exec runs a command in a service's replica.
func (c operator) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	if err := checkCommand(o); err != nil {
		return 0, err
	}
	if len(o.Command) == 0 {
		return 0, rhumb.Errorf(rhumb.Invalid, "no command to run")
	}
	info, err := inspector(c).Status(ctx, stack)
	if err != nil {
		return 0, err
	}
	id := ""
	for _, s := range info.Services {
		if s.Name != service {
			continue
		}
		id = inside(s.Slots, slot)
		if id == "" {
			return 0, rhumb.Errorf(rhumb.Unavailable, "no replica of %s runs", service).
				WithHint("rhumb ps -p %s shows what became of them", stack)
		}
	}
	if id == "" {
		return 0, c.missingService(ctx, stack, service)
	}
	return c.Engine.Exec(ctx, id, o)
}

// inside returns the ID of the replica in which a command runs: the one in the slot, or any if slot is 0; "" if none
// runs. It prefers a replica that is ready, and then one of the newer release: the other one is leaving.
func inside(slots []rhumb.ReplicaStatus, slot int) string {
	var best *rhumb.ReplicaStatus
	ready := func(r *rhumb.ReplicaStatus) bool { return r.Ready && r.Routed != "draining" }
	for i := range slots {
		r := &slots[i]
		if !r.Alive() || slot != 0 && r.Slot != slot {
			continue
		}
		if best == nil || ready(r) && !ready(best) || ready(r) == ready(best) && r.Release > best.Release {
			best = r
		}
	}
	if best == nil {
		return ""
	}
	return best.ID
}

// Run starts one more replica of a service with its own command, and removes it when it ends. It joins the service's
// networks and mounts, not its published ports and routes. The service may be a pre_start hook: "web.pre_start.1".
// For a release that doesn't serve, the networks and volumes that it needs are made; the networks are removed with
// it.
func (c operator) Run(ctx context.Context, stack, service string, o rhumb.ExecOptions) (int, error) {
	if err := checkCommand(o); err != nil {
		return 0, err
	}
	number, m, err := c.modelToRun(ctx, stack, o.Release)
	if err != nil {
		return 0, err
	}
	defer c.care.Sweep(context.WithoutCancel(ctx)) // a deployment may have replaced its secrets meanwhile
	return c.oneoffs.Run(ctx, number, m, service, o)
}

// modelToRun returns the number and model of a release; for 0, of the release that serves.
func (c operator) modelToRun(ctx context.Context, stack string, number int) (int, *rhumb.Stack, error) {
	if number != 0 {
		rel, err := c.ledger.Release(ctx, stack, number)
		if err != nil {
			return 0, nil, err
		}
		return number, &rel.Model, nil
	}
	number, m, err := c.currentModel(ctx, stack)
	if rhumb.ErrorCode(err) != rhumb.NotFound {
		return number, m, err
	}
	if kept, listErr := c.Store.Releases(ctx, stack); listErr == nil && len(kept) > 0 {
		return 0, nil, rhumb.Errorf(rhumb.NotFound, "no release of stack %s serves", stack).
			WithHint("rhumb run -p %s --release %d SERVICE runs one of a release that never served",
				stack, kept[0].Number)
	}
	return 0, nil, err
}
