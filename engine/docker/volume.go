package docker

import (
	"context"
	"maps"
	"strings"

	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
)

// volumes are an engine's volumes.
type volumes struct{ *conn.Conn }

// EnsureVolume creates the stack's volume unless it exists.
func (vs *volumes) EnsureVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	if found, err := vs.check(ctx, stack, v); found || err != nil {
		return err
	}
	labels := maps.Clone(v.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label.Stack] = stack
	o := client.VolumeCreateOptions{Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts, Labels: labels}
	_, err := vs.API.VolumeCreate(ctx, o)
	return vs.FailNeed(err, "make volume "+v.Name) // a driver
}

// CheckVolume returns why EnsureVolume would fail; nil: the volume exists or can be created.
func (vs *volumes) CheckVolume(ctx context.Context, stack string, v rhumb.Volume) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	_, err := vs.check(ctx, stack, v)
	return err
}

// check reports whether a volume exists, and returns why it isn't the wanted one.
func (vs *volumes) check(ctx context.Context, stack string, v rhumb.Volume) (found bool, err error) {
	there, err := vs.named(ctx, v.Name)
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

// named returns the volume of that name; nil if there is none.
func (vs *volumes) named(ctx context.Context, name string) (*volume.Volume, error) {
	r, err := vs.API.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	failed := vs.Fail(err, "look at volume "+name)
	if conn.Is(failed, rhumb.NotFound) {
		return nil, nil
	}
	if failed != nil {
		return nil, failed
	}
	return &r.Volume, nil
}

// checkMounted checks that the named volumes of a spec exist. The engine would silently create a missing one: empty,
// with its default driver, and without a label.
func (vs *volumes) checkMounted(ctx context.Context, spec *rhumb.ReplicaSpec) error {
	for _, m := range spec.Container.Mounts {
		if m.Type != rhumb.MountVolume || m.Source == "" {
			continue
		}
		found, err := vs.named(ctx, m.Source)
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
func (vs *volumes) RemoveVolume(ctx context.Context, stack, name string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	found, err := vs.named(ctx, name)
	if err != nil || found == nil {
		return err
	}
	if found.Labels[label.Stack] != stack {
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: it was not made by rhumb for this stack", name).
			WithHint("to remove it all the same: docker volume rm %s", name)
	}
	_, err = vs.API.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	failed := vs.Fail(err, "remove volume "+name)
	switch {
	case conn.Is(failed, rhumb.NotFound):
		return nil
	case conn.Is(failed, rhumb.Conflict):
		return rhumb.Errorf(rhumb.Conflict, "remove volume %s: a container uses it", name)
	}
	return failed
}
