package main

import (
	"context"

	"rhumb"
	"rhumb/cmd/rhumb/source"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// prepare reads the Compose files, builds the images, and calls do with the request of a deployment and the view that showed
// the builds. With yes or dryRun it only warns about a stack that may belong to another project. With dryRun the view shows
// nothing but builds.
func (a *app) prepare(ctx context.Context, yes, dryRun bool,
	do func(*client.Client, view.Deployment, rhumb.DeployRequest) error) error {
	p, err := a.load(ctx)
	if err != nil {
		return err
	}
	return a.with(func(c *client.Client) error {
		if err := a.sameProject(ctx, c, p.Named, yes || dryRun); err != nil {
			return err
		}
		v := view.New(a.o.json(), a.stdout, a.stderr, view.SubjectOf(p.Stack))
		if dryRun && len(p.Builds) == 0 {
			v = view.Silent{}
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
