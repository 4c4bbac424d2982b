package control

import (
	"context"
	"io"
	"slices"

	"rhumb"
	"rhumb/control/release"
)

// maxValue limits a value kept by the server, in bytes: the limit that Swarm has for secrets.
const maxValue = 500 << 10

// Exec runs a command in a service's replica.
func (c *Control) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
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
		for _, rep := range s.Slots {
			if rep.Alive() && (slot == rep.Slot || slot == 0 && (id == "" || rep.Ready && rep.Routed != "draining")) {
				id = rep.ID
				if slot != 0 || rep.Ready && rep.Routed != "draining" {
					break
				}
			}
		}
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
	rel, err := c.release(ctx, stack, state.Current)
	if err != nil {
		return 0, nil, err
	}
	return state.Current, &rel.Model, nil
}

// SetValue keeps a value that external secrets and configs name.
func (c *Control) SetValue(ctx context.Context, name string, content io.Reader) error {
	if name == "" {
		return rhumb.Errorf(rhumb.Invalid, "the value has no name")
	}
	v, err := io.ReadAll(io.LimitReader(content, maxValue+1))
	if err != nil {
		return err
	}
	if len(v) > maxValue {
		return rhumb.Errorf(rhumb.Invalid, "%s: a value has at most %d bytes", name, maxValue)
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
