package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"rhumb"
	"rhumb/control/release"
	"rhumb/control/scene"
)

// Run starts one more replica of a service with its own command, and removes it when it ends. It joins the
// service's networks and mounts, not its published ports and not its routes. The service may be a pre_start hook:
// "web.pre_start.1". Of a release that doesn't serve, the networks and volumes that it needs are made; the networks
// go with it.
func (c *Control) Run(ctx context.Context, stack, service string, o rhumb.ExecOptions) (int, error) {
	if err := checkCommand(o); err != nil {
		return 0, err
	}
	number, m, err := c.modelToRun(ctx, stack, o.Release)
	if err != nil {
		return 0, err
	}
	s := runnable(m, service)
	if s == nil {
		return 0, release.NoService(m, service)
	}
	g, err := c.sources().Wanted(ctx, stack)
	if err != nil {
		return 0, err
	}
	if g.Wanted.Release != number {
		giveBack, err := c.lend(ctx, m, &s.Container)
		defer giveBack()
		if err != nil {
			return 0, err
		}
	}
	if g.Observed.Replicas, err = c.Engine.Replicas(ctx, stack); err != nil {
		return 0, err
	}
	spec := scene.Spec(m, s)
	spec.Release, spec.OneOff, spec.Joined = number, word(), g.Joined(s, 1)
	spec.Container = oneOff(s.Container, o)
	if spec.Hosts, err = c.names(ctx, g, &spec.Container); err != nil {
		return 0, err
	}
	defer c.care.Sweep(context.WithoutCancel(ctx)) // a deployment may have replaced its secrets meanwhile
	return c.Engine.Run(ctx, spec, o.Streams)
}

// modelToRun returns a release's number and model; for 0 those of the release that serves.
func (c *Control) modelToRun(ctx context.Context, stack string, number int) (int, *rhumb.Stack, error) {
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
			WithHint("rhumb run -p %s --release %d SERVICE runs one of a release that never served", stack, kept[0].Number)
	}
	return 0, nil, err
}

// runnable returns the service of that name, or a pre_start hook as a service; nil if the model has neither.
func runnable(m *rhumb.Stack, name string) *rhumb.Service {
	if s := m.Service(name); s != nil {
		return s
	}
	of, n, _ := rhumb.HookOf(name)
	s := m.Service(of)
	if s == nil {
		return nil
	}
	for _, h := range s.PreStart {
		if h.Number == n {
			hook := *s
			hook.Container = h.Container
			return &hook
		}
	}
	return nil
}

// loans are the networks that one-offs of other releases use. The runner leaves them alone while they are lent.
type loans struct {
	mu    sync.Mutex
	count map[loan]int // how many one-offs use it
}

type loan struct{ stack, network string }

func (l *loans) add(stack, network string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == nil {
		l.count = map[loan]int{}
	}
	key := loan{stack, network}
	if l.count[key] += n; l.count[key] <= 0 {
		delete(l.count, key)
	}
}

func (l *loans) lent(stack, network string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[loan{stack, network}] > 0
}

// lend makes the networks and volumes that a container of any release needs. giveBack, which is never nil, removes
// the networks that neither a release nor another one-off needs; volumes stay.
func (c *Control) lend(ctx context.Context, m *rhumb.Stack, k *rhumb.Container) (giveBack func(), err error) {
	var names []string
	giveBack = func() {
		for _, name := range names {
			c.loans.add(m.Name, name, -1)
		}
		c.removeLoans(context.WithoutCancel(ctx), m.Name, names)
	}
	for _, v := range m.Volumes {
		uses := func(mt rhumb.Mount) bool { return mt.Type == rhumb.MountVolume && mt.Source == v.Name }
		if !slices.ContainsFunc(k.Mounts, uses) {
			continue
		}
		if err := c.Engine.EnsureVolume(ctx, m.Name, v); err != nil {
			return giveBack, err
		}
	}
	for _, n := range m.Networks {
		if !slices.ContainsFunc(k.Networks, func(a rhumb.Attachment) bool { return a.Network == n.Name }) {
			continue
		}
		if !n.External {
			names = append(names, n.Name)
			c.loans.add(m.Name, n.Name, 1)
		}
		if err := c.Engine.EnsureNetwork(ctx, m.Name, n); err != nil {
			return giveBack, fmt.Errorf("network %s: %w", n.Name, err)
		}
	}
	c.stacks.Changed(rhumb.Change{Stack: m.Name})
	return giveBack, nil
}

// removeLoans removes the networks that no release wants now. One that another one-off uses stays.
func (c *Control) removeLoans(ctx context.Context, stack string, names []string) {
	defer c.ledger.Lock(stack)() // no deployment that wants them begins meanwhile
	g, err := c.sources().Wanted(ctx, stack)
	if err != nil {
		c.Log.Warn("networks of a one-off not removed", "stack", stack, "err", err)
		return
	}
	for _, name := range names {
		if c.loans.lent(stack, name) || g.Uses(name) {
			continue
		}
		if err := c.Engine.RemoveNetwork(ctx, stack, name); err != nil && rhumb.ErrorCode(err) != rhumb.Conflict {
			c.Log.Warn("network of a one-off not removed", "stack", stack, "network", name, "err", err)
		}
	}
	c.stacks.Changed(rhumb.Change{Stack: stack})
}

// oneOff gives a service's container with another command, without what only one replica can have.
func oneOff(k rhumb.Container, o rhumb.ExecOptions) rhumb.Container {
	if len(o.Command) > 0 {
		k.Command = o.Command
	}
	if o.Entrypoint != nil {
		if k.Entrypoint = o.Entrypoint; len(o.Command) == 0 {
			k.Command = nil
		}
	}
	k.Env = maps.Clone(k.Env)
	if k.Env == nil {
		k.Env = map[string]string{}
	}
	for _, e := range o.Env {
		name, value, _ := strings.Cut(e, "=")
		k.Env[name] = value
	}
	if o.User != "" {
		k.User = o.User
	}
	if o.WorkingDir != "" {
		k.WorkingDir = o.WorkingDir
	}
	k.TTY, k.StdinOpen = o.TTY, o.Streams.In != nil
	k.Privileged = k.Privileged || o.Privileged
	k.HostPorts, k.Health, k.MacAddress = nil, &rhumb.Healthcheck{Test: []string{"NONE"}}, ""
	nets := make([]rhumb.Attachment, len(k.Networks))
	for i, n := range k.Networks {
		nets[i] = rhumb.Attachment{Network: n.Network, Priority: n.Priority} // no alias: it must not answer for the service
	}
	k.Networks = nets
	return k
}

// word gives a few random letters for a name.
func word() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
