package docker

import (
	"context"
	"strings"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
)

// SweepFiles removes the contents of configs and secrets that no container of rhumb's mounts any more. Dead
// containers count as using them.
func (e *Engine) SweepFiles(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := e.files.Sweeping.Lock(ctx); err != nil {
		return rhumb.Errorf(classify(err), "sweep %s: a replica is being made all the while: %w", e.files.Folder, err)
	}
	defer e.files.Sweeping.Unlock()
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
	return e.files.Sweep(used)
}
