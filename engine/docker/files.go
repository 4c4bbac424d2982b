package docker

import (
	"context"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/contents"
	"rhumb/engine/docker/internal/label"
)

// SweepFiles removes the contents of configs and secrets that no container of rhumb's mounts. A dead container still
// counts: it may be started again.
func (e *Engine) SweepFiles(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := e.files.Sweeping.Lock(ctx); err != nil {
		return rhumb.Errorf(classify(err), "sweep %s: a replica is still being created: %w", e.files.Folder, err)
	}
	defer e.files.Sweeping.Unlock()
	access, err := e.access(ctx)
	if err != nil {
		return err
	}
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of("")})
	if err != nil {
		return e.fail(err, "list replicas")
	}
	used := map[string]bool{}
	for _, c := range list.Items {
		for _, m := range c.Mounts {
			if rest, ok := strings.CutPrefix(m.Source, e.files.Folder+"/"); ok {
				used[strings.SplitN(rest, "/", 2)[0]] = true
			}
		}
	}
	return e.files.Sweep(used, access)
}

// placeFiles puts the files that a spec mounts in place, and returns their paths by target.
func (e *Engine) placeFiles(ctx context.Context, spec *rhumb.ReplicaSpec) (map[string]string, error) {
	if !slices.ContainsFunc(spec.Container.Mounts, func(m rhumb.Mount) bool { return m.Type == rhumb.MountFile }) {
		return nil, nil
	}
	access, err := e.access(ctx)
	if err != nil {
		return nil, err
	}
	return e.files.Place(spec, access)
}

// access returns the mode that lets the engine mount a content. It asks the engine once: an engine that starts to map
// users has other containers anyway.
func (e *Engine) access(ctx context.Context) (contents.Access, error) {
	if known := e.mounts.Load(); known != nil {
		return *known, nil
	}
	r, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return 0, e.fail(err, "ask whether the engine maps users")
	}
	access := contents.RootOnly
	for _, option := range r.Info.SecurityOptions { // "name=userns", "name=seccomp,profile=default"
		if name, _, _ := strings.Cut(option, ","); name == "name=userns" || name == "name=rootless" {
			access = contents.Passable
		}
	}
	e.mounts.Store(&access)
	return access, nil
}
