package oneoff

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"strings"

	"rhumb"
	"rhumb/control/release"
	"rhumb/control/scene"
)

// Run starts one more replica of a service of a release with its own command, and removes it when it ends. The replica
// joins the service's networks and mounts, not its published ports and routes. The service may be a pre_start hook:
// "web.pre_start.1". If another release serves than this one, the networks and volumes that the replica needs are made;
// the networks are removed with it. It returns the command's exit code, NotFound if the model has no such service.
func (r *Room) Run(ctx context.Context, number int, m *rhumb.Stack, service string, o rhumb.ExecOptions) (int, error) {
	svc := Service(m, service)
	if svc == nil {
		return 0, release.NoService(m, service)
	}
	s, err := r.Sources.Wanted(ctx, m.Name)
	if err != nil {
		return 0, err
	}
	if s.Wanted.Release != number {
		giveBack, err := r.lend(ctx, m, &svc.Container)
		defer giveBack()
		if err != nil {
			return 0, err
		}
	}
	if s.Observed.Replicas, err = r.Engine.Replicas(ctx, m.Name); err != nil {
		return 0, err
	}
	spec := scene.Spec(m, svc)
	spec.Release, spec.OneOff, spec.Joined = number, word(), s.Joined(svc, 1)
	spec.Container = Container(svc.Container, o)
	if spec.Hosts, err = r.Sources.Names(ctx, s, &spec.Container); err != nil {
		return 0, err
	}
	return r.Engine.Run(ctx, spec, o.Streams)
}

// Service returns the service of that name, or a pre_start hook as a service; nil if the model has neither.
func Service(m *rhumb.Stack, name string) *rhumb.Service {
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

// Container returns a service's container with another command, without what only one replica can have.
func Container(k rhumb.Container, o rhumb.ExecOptions) rhumb.Container {
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
		// no alias: it must not answer for the service
		nets[i] = rhumb.Attachment{Network: n.Network, Priority: n.Priority}
	}
	k.Networks = nets
	return k
}

// word returns eight random letters and digits for a name.
func word() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
