package docker

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/contents"
	"rhumb/engine/docker/internal/label"
)

// files are the contents of configs and secrets on this machine.
type files struct {
	*conn.Conn
	store *contents.Store
	known atomic.Pointer[contents.Access] // nil: the engine hasn't been asked yet
}

// SweepFiles removes the contents of configs and secrets that no container of rhumb's mounts. A dead container still
// counts: it may be started again.
func (f *files) SweepFiles(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	if err := f.store.Sweeping.Lock(ctx); err != nil {
		return rhumb.Errorf(conn.Classify(err), "sweep %s: a replica is still being created: %w", f.store.Folder, err)
	}
	defer f.store.Sweeping.Unlock()
	access, err := f.access(ctx)
	if err != nil {
		return err
	}
	list, err := f.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of("")})
	if err != nil {
		return f.Fail(err, "list replicas")
	}
	used := map[string]bool{}
	for _, c := range list.Items {
		for _, m := range c.Mounts {
			if rest, ok := strings.CutPrefix(m.Source, f.store.Folder+"/"); ok {
				used[strings.SplitN(rest, "/", 2)[0]] = true
			}
		}
	}
	return f.store.Sweep(used, access)
}

// place puts the files that a spec mounts in place, and returns their paths by target.
func (f *files) place(ctx context.Context, spec *rhumb.ReplicaSpec) (map[string]string, error) {
	if !slices.ContainsFunc(spec.Container.Mounts, func(m rhumb.Mount) bool { return m.Type == rhumb.MountFile }) {
		return nil, nil
	}
	access, err := f.access(ctx)
	if err != nil {
		return nil, err
	}
	return f.store.Place(spec, access)
}

// access returns the mode that lets the engine mount a content. It asks the engine once: an engine that starts to map
// users has other containers anyway.
func (f *files) access(ctx context.Context) (contents.Access, error) {
	if known := f.known.Load(); known != nil {
		return *known, nil
	}
	r, err := f.API.Info(ctx, client.InfoOptions{})
	if err != nil {
		return 0, f.Fail(err, "ask whether the engine maps users")
	}
	access := contents.RootOnly
	for _, option := range r.Info.SecurityOptions { // "name=userns", "name=seccomp,profile=default"
		if name, _, _ := strings.Cut(option, ","); name == "name=userns" || name == "name=rootless" {
			access = contents.Passable
		}
	}
	f.known.Store(&access)
	return access, nil
}
