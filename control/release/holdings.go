package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
	"rhumb/rollout/diff"
)

// settleHoldings says under which names the engine will have the model's networks, and refuses what it can't have.
func (k *Maker) settleHoldings(ctx context.Context, model, old *rhumb.Stack) error {
	keepWords(model, old)
	if err := k.nameNetworks(ctx, model, old); err != nil {
		return err
	}
	return k.CheckHoldings(ctx, model, old)
}

// keepWords leaves networks and volumes that are defined as before what no engine changes: their labels, which are no
// reason to move replicas to another network, and a default driver that is named in one release and not in the other.
func keepWords(model, old *rhumb.Stack) {
	model.Networks, model.Volumes = slices.Clone(model.Networks), slices.Clone(model.Volumes)
	note := func(subject string) {
		model.Notes = append(slices.Clip(model.Notes), rhumb.Note{Subject: subject + ".labels", Fate: rhumb.Ignored,
			Why: "it is there with other labels, which stay as they are until it is made again"})
	}
	for i := range model.Networks {
		n := &model.Networks[i]
		was := old.Network(n.Key)
		if was == nil || n.External || was.External || !was.Alike(*n) {
			continue
		}
		n.Driver, n.IPAM.Driver = was.Driver, was.IPAM.Driver
		if !maps.Equal(was.Labels, n.Labels) {
			n.Labels = was.Labels
			note("networks." + n.Key)
		}
	}
	for i := range model.Volumes {
		v := &model.Volumes[i]
		if was := old.Volume(v.Key); was != nil && !v.External && was.Name == v.Name && !maps.Equal(was.Labels, v.Labels) {
			v.Labels = was.Labels
			note("volumes." + v.Key)
		}
	}
}

// nameNetworks gives each of the stack's own networks the name that the engine knows it by. The engine can't change a
// network. So one that is defined otherwise than in an earlier release has another name: it is made beside the old one,
// replicas move over in the order of any deployment, and the old one goes after them. Among the kept releases a name means
// one definition, which lets each of them be rolled back to.
func (k *Maker) nameNetworks(ctx context.Context, model, old *rhumb.Stack) error {
	var kept []rhumb.Network
	for i := range model.Networks {
		n := &model.Networks[i]
		plain := model.Name + "_" + n.Key
		if n.External || n.Name != plain {
			continue
		}
		was := old.Network(n.Key)
		if was != nil && !was.External && was.Alike(*n) && k.had(ctx, model.Name, *n, was.Name) == nil {
			rename(model, n, was.Name)
			continue
		}
		if kept == nil {
			var err error
			if kept, err = k.keptNetworks(ctx, model.Name); err != nil {
				return err
			}
		}
		// The engine's name for the one that comes beside the plain one sorts before it: older engines lead a replica's
		// way out through the first.
		names := []string{plain, model.Name + "-" + n.Definition()[:8] + "_" + n.Key}
		for _, was := range kept {
			switch {
			case was.Key == n.Key && was.Alike(*n):
				n.Driver, n.IPAM.Driver = was.Driver, was.IPAM.Driver
				names = append([]string{was.Name}, names...)
			case was.Name == plain:
				names = slices.DeleteFunc(names, func(name string) bool { return name == plain })
			}
		}
		for j, name := range names {
			err := k.had(ctx, model.Name, *n, name)
			if err == nil || j == len(names)-1 {
				rename(model, n, name)
				break
			}
			if rhumb.ErrorCode(err) != rhumb.Conflict {
				return err
			}
		}
	}
	return nil
}

// had returns why a network can't be had under a name.
func (k *Maker) had(ctx context.Context, stack string, n rhumb.Network, name string) error {
	n.Name = name
	return k.Engine.CheckNetwork(ctx, stack, n)
}

// keptNetworks returns the networks of the stack's kept releases, the newest first.
func (k *Maker) keptNetworks(ctx context.Context, stack string) ([]rhumb.Network, error) {
	kept := []rhumb.Network{}
	err := k.eachRelease(ctx, stack, func(r *rhumb.Release) { kept = append(kept, r.Model.Networks...) })
	return kept, err
}

// eachRelease calls do with the kept releases of a stack, the newest first.
func (k *Maker) eachRelease(ctx context.Context, stack string, do func(*rhumb.Release)) error {
	releases, err := k.Store.Releases(ctx, stack)
	if err != nil {
		return err
	}
	for _, info := range releases {
		r, err := k.Store.Release(ctx, stack, info.Number)
		if rhumb.ErrorCode(err) == rhumb.NotFound {
			continue // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		do(&r)
	}
	return nil
}

// rename gives a network another name, and all that join it.
func rename(m *rhumb.Stack, n *rhumb.Network, name string) {
	from := n.Name
	n.Name = name
	join := func(c *rhumb.Container) {
		c.Networks = slices.Clone(c.Networks)
		for i := range c.Networks {
			if c.Networks[i].Network == from {
				c.Networks[i].Network = name
			}
		}
	}
	for i := range m.Services {
		s := &m.Services[i]
		join(&s.Container)
		for j := range s.PreStart {
			join(&s.PreStart[j].Container)
		}
	}
}

// CheckHoldings refuses a model whose networks and volumes can't be had as it defines them. That is asked before anything
// changes: an engine makes a missing volume in silence, and empty. old is the model that serves; nil: none does.
func (k *Maker) CheckHoldings(ctx context.Context, model, old *rhumb.Stack) error {
	var errs rhumb.Errors
	note := func(err error) error {
		var e *rhumb.Error
		if !errors.As(err, &e) || e.Code != rhumb.NotFound && e.Code != rhumb.Conflict {
			return err
		}
		if e.Code == rhumb.NotFound {
			e = &rhumb.Error{Code: rhumb.Invalid, Msg: e.Error(), Hint: e.Hint, Err: e}
		}
		errs = append(errs, e)
		return nil
	}
	for _, n := range model.Networks {
		err := k.Engine.CheckNetwork(ctx, model.Name, n)
		was := old.Network(n.Key)
		if rhumb.ErrorCode(err) == rhumb.Conflict && was != nil && was.Name == n.Name && !was.Alike(n) {
			what := strings.Join(diff.Network(*was, n), ", ")
			err = rhumb.Errorf(rhumb.Conflict, "network %s: %s can't be changed: %s", n.Key, n.Name, what).
				WithHint("give it another name: and its replicas move over, or %s", downFirst)
		}
		if err == nil {
			err = k.checkBeside(ctx, n, model, old)
		}
		if err != nil && note(err) != nil {
			return err
		}
	}
	for _, v := range model.Volumes {
		if err := k.Engine.CheckVolume(ctx, model.Name, v); err != nil && note(err) != nil {
			return err
		}
	}
	return together(errs, nil)
}

// together returns all that a release lacks as one error: what is missing, and err. nil: it lacks nothing.
func together(missing rhumb.Errors, err error) error {
	var one *rhumb.Error
	var several rhumb.Errors
	switch {
	case errors.As(err, &several):
		missing = append(missing, several...)
	case errors.As(err, &one) && (one.Code == rhumb.Invalid || one.Code == rhumb.Conflict):
		missing = append(missing, one)
	case err != nil:
		return err
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return missing[0]
	}
	return missing
}

const downFirst = "take the stack down first (rhumb down): " +
	"it doesn't serve until it is deployed again; its volumes stay"

// exclusive are the options of a driver that two networks can't share.
var exclusive = []string{"com.docker.network.bridge.name", "parent"}

// checkBeside refuses a new network that can't be there beside the one of the release that serves, whose replicas move
// over.
func (k *Maker) checkBeside(ctx context.Context, n rhumb.Network, model, old *rhumb.Stack) error {
	if n.External || old == nil || slices.ContainsFunc(old.Networks, func(o rhumb.Network) bool { return o.Name == n.Name }) {
		return nil
	}
	held, err := k.Engine.Holdings(ctx, model.Name)
	if err != nil {
		return err
	}
	for _, o := range old.Networks {
		if o.External || !slices.Contains(held.Networks, o.Name) {
			continue
		}
		clash := overlap(n, o, held.Bridges)
		for _, name := range exclusive {
			if v := n.DriverOpts[name]; v != "" && v == o.DriverOpts[name] && n.Driver == o.Driver {
				clash = "driver_opts." + name + " is " + v + " in both"
			}
		}
		if clash == "" {
			continue
		}
		what := ""
		if o.Key == n.Key {
			what = " (" + strings.Join(diff.Network(o, n), ", ") + ")"
		}
		const words = "network %s: it%s can't be made beside %s, which serves: %s"
		return rhumb.Errorf(rhumb.Conflict, words, n.Key, what, o.Name, clash).
			WithHint("choose another one, or %s", downFirst)
	}
	return nil
}

// overlap names the subnets of a new network and one that is there which overlap; "": none do.
func overlap(n, there rhumb.Network, bridges []rhumb.Bridge) string {
	taken := subnets(there)
	for _, b := range bridges {
		if b.Network == there.Name {
			taken = append(taken, b.Subnet)
		}
	}
	for _, p := range subnets(n) {
		for _, q := range taken {
			if p.Overlaps(q) {
				return fmt.Sprintf("the subnets %s and %s overlap", p, q)
			}
		}
	}
	return ""
}

// subnets returns the subnets that a network's definition names.
func subnets(n rhumb.Network) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range n.IPAM.Pools {
		if prefix, err := netip.ParsePrefix(p.Subnet); err == nil {
			list = append(list, prefix)
		}
	}
	return list
}
