package change

import (
	"context"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// prepare reads the Compose files, builds the images, and calls do with the request of a deployment and the view that
// showed the builds. With yes or dryRun it only warns about a stack that may belong to another project. With dryRun
// the view shows nothing but warnings and builds.
func prepare(ctx context.Context, a *cli.App, yes, dryRun bool,
	do func(*client.Client, view.Deployment, rhumb.DeployRequest) error) error {
	p, err := a.Load(ctx)
	if err != nil {
		return err
	}
	return a.With(func(c *client.Client) error {
		if err := sameProject(ctx, a, c, p.Named, yes || dryRun); err != nil {
			return err
		}
		v := view.New(a.JSON(), a.Stdout, a.Stderr, view.SubjectOf(p.Stack))
		if dryRun && len(p.Builds) == 0 && !a.JSON() {
			v = view.Lines(a.Stderr) // a block would show services, of which none changes
		}
		var r rhumb.DeployRequest
		err := view.Ticking(ctx, v, func(ctx context.Context) (err error) {
			r, err = source.Request(ctx, c, p, func(problem string) { v.Say("warning: " + problem) }, v.Build)
			return err
		})
		if err != nil {
			v.Close()
			return err
		}
		return do(c, v, r)
	})
}
