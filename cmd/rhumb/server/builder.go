package server

import (
	"context"
	"io"
	"log/slog"

	"rhumb"
)

// builder builds while there is room on the disk, and marks what it built as rhumb's: it is removed once nothing
// needs it.
type builder struct {
	rhumb.Builder
	room func(ctx context.Context) error
	mark func(ctx context.Context, name, id string) error
	log  *slog.Logger
}

// Build implements rhumb.Builder.
func (b builder) Build(
	ctx context.Context, r rhumb.BuildRequest, tree io.Reader, progress func(rhumb.BuildProgress),
) (rhumb.Image, error) {
	if err := b.room(ctx); err != nil {
		return rhumb.Image{}, err
	}
	img, err := b.Builder.Build(ctx, r, tree, progress)
	if err != nil {
		return img, err
	}
	if err := b.mark(ctx, r.Name, img.ID); err != nil {
		b.log.Warn("built image not marked", "image", r.Name, "err", err)
	}
	return img, nil
}
