package images

import (
	"context"
	"slices"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/observed"
)

const sweepTimeout = time.Minute // the next sweep continues

// Sweep removes images that rhumb pulled or built and that are no longer needed.
func (im *Images) Sweep(ctx context.Context, needed []string, unused time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	if _, err := im.Version(ctx); err != nil {
		return 0, err
	}
	list, err := im.API.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return 0, im.Fail(err, "list images")
	}
	var freed int64
	for _, s := range list.Items {
		if !im.marks.on(s.RepoTags) || slices.Contains(needed, s.ID) {
			continue
		}
		n, err := im.sweepImage(ctx, s.ID, unused)
		if err != nil {
			return freed, err
		}
		freed += n
	}
	return freed, nil
}

// sweepImage removes a marked image unless it is needed, and returns its size.
func (im *Images) sweepImage(ctx context.Context, id string, unused time.Duration) (int64, error) {
	i, err := Inspect(ctx, im.Conn, id)
	if err != nil || i == nil {
		return 0, err
	}
	c := im.marks.sort(i, "")
	if len(c.kept) > 0 || len(c.foreign) > 0 || time.Since(touched(i)) < unused {
		return 0, nil
	}
	used, err := im.used(ctx, id)
	if err != nil || used {
		return 0, err
	}
	if err := im.removeNames(ctx, slices.Concat(c.origin, i.RepoDigests, c.marks)); err != nil {
		return 0, err
	}
	im.Log.Info("image pruned", "image", id, "names", c.origin)
	return i.Size, nil
}

// touched returns when an image last got a name, or was created.
func touched(i *image.InspectResponse) time.Time {
	at := i.Metadata.LastTagTime
	if made := observed.Moment(i.Created); made.After(at) {
		at = made
	}
	return at
}

// used reports whether a container, running or not, was created from an image.
func (im *Images) used(ctx context.Context, id string) (bool, error) {
	used, err := im.API.ContainerList(ctx, client.ContainerListOptions{All: true, Limit: 1,
		Filters: client.Filters{}.Add("ancestor", id)})
	if err != nil {
		return false, im.Fail(err, "list containers")
	}
	return len(used.Items) > 0, nil
}

// removeNames removes names from an image. The engine deletes the image with its last name.
func (im *Images) removeNames(ctx context.Context, names []string) error {
	for _, name := range names {
		_, err := im.API.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		if failed := im.Fail(err, "remove image "+name); failed != nil && !conn.Is(failed, rhumb.NotFound) &&
			!conn.Is(failed, rhumb.Conflict) {
			return failed
		}
	}
	return nil
}
