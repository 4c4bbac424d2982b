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

// settleHoldings settles the engine's names of networks, and refuses networks and volumes that the engine can't have.
// Its error also lists the missing values.
func (d *draft) settleHoldings(ctx context.Context) error {
	old := d.old()
	keepLabels(d.model, old)
	err := d.nameNetworks(ctx, d.model, old)
	if err == nil {
		err = d.CheckHoldings(ctx, d.model, old)
	}
	return together(d.missing, err)
}

// keepLabels restores in networks and volumes that are defined as before what an engine can't change: their labels,
// which are no reason to move replicas to another network, and a default driver that only one of the releases names.
func keepLabels(model, old *rhumb.Stack) {
	note := func(subject string) {
		model.Notes = append(model.Notes, rhumb.Note{Subject: subject + ".labels", Fate: rhumb.Ignored,
			Why: "it exists with other labels, which stay until it is created again"})
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
		was := old.Volume(v.Key)
		if was != nil && !v.External && was.Name == v.Name && !maps.Equal(was.Labels, v.Labels) {
			v.Labels = was.Labels
			note("volumes." + v.Key)
		}
	}
}

// nameNetworks settles the engine's name of each of the stack's own networks. The engine can't change a network, so a
// network whose definition has changed gets another name: it is created beside the old one, the deployment moves the
// replicas over, and the old one is removed after them. Among the kept releases each name has one definition, so that
// each of them can be rolled back to.
func (k *Maker) nameNetworks(ctx context.Context, model, old *rhumb.Stack) error {
	var kept []rhumb.Network
	for i := range model.Networks {
		n := &model.Networks[i]
		plain := model.Name + "_" + n.Key
		if n.External || n.Name != plain {
			continue
		}
		was := old.Network(n.Key)
		if was != nil && !was.External && was.Alike(*n) && k.checkName(ctx, model.Name, *n, was.Name) == nil {
			rename(model, n, was.Name)
			continue
		}
		if kept == nil {
			var err error
			if kept, err = k.keptNetworks(ctx, model.Name); err != nil {
				return err
			}
		}
		names := networkNames(n, model.Name, kept)
		for j, name := range names {
			err := k.checkName(ctx, model.Name, *n, name)
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

// networkNames returns the names that a network may have, the best one first: those under which kept releases have the
// same definition, the plain one unless it has another definition there, and one made from the definition. It also
// takes over how the kept definition spells the default driver.
func networkNames(n *rhumb.Network, stack string, kept []rhumb.Network) []string {
	plain := stack + "_" + n.Key
	// The name made from the definition sorts before the plain one, because older engines route a replica's outgoing
	// traffic through its first network.
	names := []string{plain, stack + "-" + n.Definition()[:8] + "_" + n.Key}
	for _, was := range kept {
		switch {
		case was.Key == n.Key && was.Alike(*n):
			n.Driver, n.IPAM.Driver = was.Driver, was.IPAM.Driver
			names = append([]string{was.Name}, names...)
		case was.Name == plain:
			names = slices.DeleteFunc(names, func(name string) bool { return name == plain })
		}
	}
	return names
}

// checkName returns why the engine can't have a network under a name; nil: it can.
func (k *Maker) checkName(ctx context.Context, stack string, n rhumb.Network, name string) error {
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
			continue // removed in the meantime
		}
		if err != nil {
			return err
		}
		do(&r)
	}
	return nil
}

// rename changes the engine's name of a network, also where containers join it.
func rename(m *rhumb.Stack, n *rhumb.Network, name string) {
	from := n.Name
	n.Name = name
	join := func(c *rhumb.Container) {
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

// CheckHoldings refuses a model whose networks and volumes the engine can't have as defined: Invalid where one is
// missing, Conflict where another one is in the way. It must run before anything changes, because an engine silently
// creates a missing volume, empty. old is the model that serves; nil: none does.
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
				WithHint("write another name: for it, so that its replicas move over, or %s", downFirst)
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

// together returns everything that a release lacks as one error: what is missing, and err. nil: it lacks nothing.
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
	"it is unavailable until you deploy it again; its volumes stay"

// exclusive are the driver options whose value only one network can have.
var exclusive = []string{"com.docker.network.bridge.name", "parent"}

// checkBeside refuses a new network that can't exist beside one of the release that serves. Both exist while replicas
// move over.
func (k *Maker) checkBeside(ctx context.Context, n rhumb.Network, model, old *rhumb.Stack) error {
	sameName := func(o rhumb.Network) bool { return o.Name == n.Name }
	if n.External || old == nil || slices.ContainsFunc(old.Networks, sameName) {
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
		const words = "network %s: it%s can't be created beside %s, which serves: %s"
		return rhumb.Errorf(rhumb.Conflict, words, n.Key, what, o.Name, clash).
			WithHint("write another one, or %s", downFirst)
	}
	return nil
}

// overlap says which subnets of a new and an existing network overlap; "": none do.
func overlap(n, existing rhumb.Network, bridges []rhumb.Bridge) string {
	taken := subnets(existing)
	for _, b := range bridges {
		if b.Network == existing.Name {
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
