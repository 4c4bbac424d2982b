// Package together runs the parts of a process, which start and end together.
package together

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// Run runs the parts until ctx ends or one of them fails, and then stops the others. It returns the first error once
// all parts have ended.
func Run(ctx context.Context, parts ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		g.Go(func() error { return part(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
