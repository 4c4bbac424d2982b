package docker

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/networks"
)

// EnsureVolume creates the stack's volume unless it exists.
func (e *Engine) EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if found, err := e.checkVolume(ctx, stack, v); found || err != nil {
		return err
	}
	labels := maps.Clone(v.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label.Stack] = stack
	o := client.VolumeCreateOptions{Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts, Labels: labels}
	_, err := e.api.VolumeCreate(ctx, o)
	failed := e.fail(err, "make volume "+v.Name)
	if is(failed, rhumb.NotFound) { // of a driver
		return &rhumb.Error{Code: rhumb.Invalid, Msg: failed.Error(), Err: err}
	}
	return failed
}

// CheckVolume returns why EnsureVolume would fail; nil: the volume exists or can be created.
func (e *Engine) CheckVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.checkVolume(ctx, stack, v)
	return err
}

// checkVolume reports whether a volume exists, and returns why it isn't the wanted one.
func (e *Engine) checkVolume(ctx context.Context, stack string, v rhumb.Volume) (found bool, err error) {
	there, err := e.volume(ctx, v.Name)
	switch {
	case err != nil:
		return false, err
	case there == nil && v.External:
		return false, rhumb.Errorf(rhumb.NotFound, "volume %s: it is external and not there", v.Name).
			WithHint("make it first: docker volume create %s", v.Name)
	case there == nil || v.External:
		return there != nil, nil
	}
	of := there.Labels[label.Stack]
	switch {
	case of != "" && of != stack:
		return true, rhumb.Errorf(rhumb.Conflict, "volume %s: it is the stack %s's", v.Name, of).
			WithHint("give the volume another name, or declare it external: true")
	case of == "" && v.Driver == "" && len(v.DriverOpts) == 0:
		return true, nil
	case len(there.Options) == 0 && there.Driver != "local" && there.Driver == v.Driver:
		return true, nil // the engine didn't make it, and doesn't know its options
	}
	if what := v.Differs(there.Driver, there.Options); len(what) > 0 {
		e := rhumb.Errorf(rhumb.Conflict, "volume %s: it is there and defined otherwise: %s", v.Name,
			strings.Join(what, ", "))
		return true, e.WithHint("a volume is never changed: give it another name, or save what is in it, then "+
			"rhumb down, docker volume rm %s, rhumb deploy", v.Name)
	}
	return true, nil
}

// volume returns the volume of that name; nil if there is none.
func (e *Engine) volume(ctx context.Context, name string) (*volume.Volume, error) {
	r, err := e.api.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	failed := e.fail(err, "look at volume "+name)
	if is(failed, rhumb.NotFound) {
		return nil, nil
	}
	if failed != nil {
		return nil, failed
	}
	return &r.Volume, nil
}

// checkVolumes checks that the named volumes of a spec exist. The engine would silently create a missing one: empty,
// with its default driver, and without a label.
func (e *Engine) checkVolumes(ctx context.Context, spec *rhumb.ReplicaSpec) error {
	for _, m := range spec.Container.Mounts {
		if m.Type != rhumb.MountVolume || m.Source == "" {
			continue
		}
		found, err := e.volume(ctx, m.Source)
		if err != nil {
			return err
		}
		if found == nil {
			return rhumb.Errorf(rhumb.Invalid, "make %s: volume %s is not there", spec.Name(), m.Source).
				WithHint("if it was removed by hand, rhumb deploy creates it again unless it is external; its data is lost")
		}
	}
	return nil
}

// RemoveVolume removes a volume of the stack. It returns Conflict for a volume without the stack's label.
func (e *Engine) RemoveVolume(ctx context.Context, stack, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := e.volume(ctx, name)
	if err != nil || found == nil {
		return err
	}
	if found.Labels[label.Stack] != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: it was not made by rhumb for this stack", name).
			WithHint("to remove it all the same: docker volume rm %s", name)
	}
	_, err = e.api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	failed := e.fail(err, "remove volume "+name)
	switch {
	case is(failed, rhumb.NotFound):
		return nil
	case is(failed, rhumb.Conflict):
		return inUse("volume", name)
	}
	return failed
}

// Holdings lists the networks and volumes that carry the stack's label.
func (e *Engine) Holdings(ctx context.Context, stack string) (rhumb.Holdings, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var h rhumb.Holdings
	ns, err := e.api.NetworkList(ctx, client.NetworkListOptions{Filters: label.Of(stack)})
	if err != nil {
		return h, e.fail(err, "list networks")
	}
	vs, err := e.api.VolumeList(ctx, client.VolumeListOptions{Filters: label.Of(stack)})
	if err != nil {
		return h, e.fail(err, "list volumes")
	}
	for _, n := range ns.Items {
		h.Networks = append(h.Networks, n.Name)
		if b, ok := networks.Bridge(&n.Network); ok {
			h.Bridges = append(h.Bridges, b)
		}
	}
	for _, v := range vs.Items {
		h.Volumes = append(h.Volumes, v.Name)
	}
	slices.Sort(h.Networks)
	slices.SortFunc(h.Bridges, func(a, b rhumb.Bridge) int { return strings.Compare(a.Network, b.Network) })
	slices.Sort(h.Volumes)
	return h, nil
}
