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

// EnsureVolume makes the stack's volume unless it is there.
func (e *Engine) EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := e.volume(ctx, v.Name)
	if err != nil {
		return err
	}
	switch {
	case found != nil && (v.External || found.Labels[label.Stack] == "" || found.Labels[label.Stack] == stack):
		return nil
	case found != nil:
		return rhumb.Errorf(rhumb.Conflict, "volume %s: it is the stack %s's", v.Name, found.Labels[label.Stack]).
			WithHint("give the volume another name, or declare it external: true")
	case v.External:
		return rhumb.Errorf(rhumb.NotFound, "volume %s: it is external and not there", v.Name).
			WithHint("make it first: docker volume create %s", v.Name)
	}
	labels := maps.Clone(v.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label.Stack] = stack
	_, err = e.api.VolumeCreate(ctx, client.VolumeCreateOptions{Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts, Labels: labels})
	failed := e.fail(err, "make volume "+v.Name)
	if is(failed, rhumb.NotFound) { // a driver that isn't there
		return &rhumb.Error{Code: rhumb.Invalid, Msg: failed.Error(), Err: err}
	}
	return failed
}

// volume looks for a volume; nil if there is none.
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

// checkVolumes looks whether the volumes are there that somebody named. The engine would make a missing one in silence: empty, with
// its own driver, and without a label.
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
				WithHint("if it was removed by hand, rhumb deploy makes it anew, unless it is external; its data is lost")
		}
	}
	return nil
}

// RemoveVolume removes a volume of the stack. One that doesn't carry rhumb's label is not touched.
func (e *Engine) RemoveVolume(ctx context.Context, stack, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := e.volume(ctx, name)
	if err != nil || found == nil {
		return err
	}
	if found.Labels[label.Stack] != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: it was not made by rhumb for this stack", name).
			WithHint("if it really is to go: docker volume rm %s", name)
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
