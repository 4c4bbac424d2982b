package control

import (
	"context"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"rhumb"
	"rhumb/control/release"
)

// maxValue limits a value kept by the server, in bytes: the limit that Swarm has for secrets.
const maxValue = 500 << 10

// maxCommand is how long a command may be with its variables, in bytes. Docker Engine hands both to its helper through a pipe of 64 kB; when
// more was on its way and the helper died, the engine never gave the container back.
const maxCommand = 60_000

// checkCommand refuses commands that the engine may not survive.
func checkCommand(o rhumb.ExecOptions) error {
	size := 0
	for _, word := range slices.Concat(o.Entrypoint, o.Command, o.Env, []string{o.User, o.WorkingDir}) {
		size += len(word)
	}
	if size > maxCommand {
		return rhumb.Errorf(rhumb.Invalid, "the command with its variables is too long: %d bytes, and %d can be passed on", size, maxCommand).
			WithHint("pass long text on the standard input, or in a file")
	}
	return nil
}

// Exec runs a command in a service's replica.
func (c *Control) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	if err := checkCommand(o); err != nil {
		return 0, err
	}
	if len(o.Command) == 0 {
		return 0, rhumb.Errorf(rhumb.Invalid, "no command to run")
	}
	info, err := c.Status(ctx, stack)
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

// inside returns the ID of the replica in which a command runs: the one in the slot, or any if slot is 0. One that is ready comes first, and of
// two the one of the newer release: the other is on its way out. It is "" if none runs.
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

func (c *Control) missingService(ctx context.Context, stack, service string) error {
	_, m, err := c.currentModel(ctx, stack)
	if err != nil {
		return err
	}
	return release.NoService(m, service)
}

func (c *Control) currentModel(ctx context.Context, stack string) (int, *rhumb.Stack, error) {
	state, err := c.Store.StackState(ctx, stack)
	if err != nil {
		return 0, nil, err
	}
	if state.Current == 0 {
		return 0, nil, notDeployed(stack)
	}
	rel, err := c.ledger.Release(ctx, stack, state.Current)
	if err != nil {
		return 0, nil, err
	}
	return state.Current, &rel.Model, nil
}

// maxName is the longest name of a value, in bytes.
const maxName = 255

// checkName refuses names of values that a Compose file and a list on a terminal can't both show as they are.
func checkName(name string) error {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	switch {
	case name == "":
		return rhumb.Errorf(rhumb.Invalid, "the value has no name")
	case len(name) > maxName:
		return rhumb.Errorf(rhumb.Invalid, "the value's name is too long: it has %d bytes", len(name)).WithHint("names have at most %d", maxName)
	case name == "." || name == ".." || strings.TrimSpace(name) != name || !utf8.ValidString(name) || strings.ContainsFunc(name, odd):
		return rhumb.Errorf(rhumb.Invalid, "%q can't be a value's name", name).
			WithHint("use letters, digits, and what stands between them: db/password, shop_token")
	}
	return nil
}

// SetValue keeps a value that external secrets and configs name.
func (c *Control) SetValue(ctx context.Context, name string, content io.Reader) error {
	if err := checkName(name); err != nil {
		return err
	}
	v, err := io.ReadAll(io.LimitReader(content, maxValue+1))
	if err != nil {
		return err
	}
	if len(v) > maxValue {
		return rhumb.Errorf(rhumb.Invalid, "%q: a value has at most %d bytes", name, maxValue)
	}
	return c.Store.SetValue(ctx, name, v)
}

// RemoveValue forgets a value; NotFound if there is none. Releases that used it keep their copy.
func (c *Control) RemoveValue(ctx context.Context, name string) error {
	names, err := c.Store.Values(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return rhumb.Errorf(rhumb.NotFound, "there is no value %q", name).WithHint("rhumb secret ls lists them")
	}
	return c.Store.RemoveValue(ctx, name)
}

// Values lists the names of the values, sorted.
func (c *Control) Values(ctx context.Context) ([]string, error) { return c.Store.Values(ctx) }
