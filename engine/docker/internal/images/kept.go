package images

import (
	"context"
	"slices"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
)

// MarkBuilt marks an image as built by rhumb under that name.
func (im *Images) MarkBuilt(ctx context.Context, name, id string) error {
	return im.mark(ctx, builtMark, name, id)
}

// mark marks an image as pulled or built under a name.
func (im *Images) mark(ctx context.Context, kind, name, id string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	target := im.marks.of(kind, name, id)
	_, err := im.API.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: target})
	return im.Fail(err, "mark image "+id)
}

// Keep tags an image of a release with a name of rhumb's own, which protects it from pruning.
func (im *Images) Keep(ctx context.Context, stack, service string, release int, id string) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	_, err := im.API.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: keptAs(stack, service, release)})
	return im.Fail(err, "keep image "+id)
}

// Release removes that name. With remove it removes the image too, unless a container, another release, or a name that
// came from neither the registry nor the build uses it.
func (im *Images) Release(ctx context.Context, stack, service string, release int, remove bool) error {
	tag := keptAs(stack, service, release)
	i, err := Inspect(ctx, im.Conn, tag)
	if err != nil || i == nil {
		return err
	}
	if err := im.untag(ctx, tag, i, stack+"-"+service, remove); err != nil {
		return rhumb.Errorf(rhumb.ErrorCode(err), "release image %s: %w", tag, err)
	}
	return nil
}

// untag removes a name of rhumb's from an image, and with remove all its names if the image is unused.
func (im *Images) untag(ctx context.Context, tag string, i *image.InspectResponse, built string, remove bool) error {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	if !remove && len(i.RepoTags) == 1 {
		return nil // with its last name the engine would delete the image, which isn't rhumb's to delete
	}
	c := im.marks.sort(i, built)
	goes := remove && len(c.kept) == 1 && len(c.foreign) == 0
	if goes {
		used, err := im.used(ctx, i.ID)
		if err != nil {
			return err
		}
		goes = !used
	}
	if goes {
		return im.removeNames(ctx, slices.Concat(c.origin, c.marks, []string{tag}))
	}
	_, err := im.API.ImageRemove(ctx, tag, client.ImageRemoveOptions{})
	if failed := im.Fail(err, "remove image "+tag); failed != nil && !conn.Is(failed, rhumb.NotFound) &&
		!conn.Is(failed, rhumb.Conflict) {
		return failed
	}
	return nil
}
