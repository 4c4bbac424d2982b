package httpapi

import (
	"context"
	"net/http"

	"rhumb"
	"rhumb/httpapi/wire"
)

// DeploymentPath names a deployment in a path. It is exported for the same reason as StackPath.
type DeploymentPath struct {
	StackPath
	ID int64 `path:"id" minimum:"0" doc:"the deployment's number; 0: the stack's last"`
}

type deploymentsInput struct {
	StackPath
	Limit int `query:"limit" minimum:"0" doc:"at most so many; 0: all"`
}

type diffInput struct {
	StackPath
	A int `query:"a" required:"true" doc:"the release to compare with"`
	B int `query:"b" required:"true" doc:"the release to look at"`
}

type eventsInput struct {
	Stack      string `query:"stack" doc:"only this stack's"`
	Deployment int64  `query:"deployment" doc:"only this deployment's"`
	After      int64  `query:"after" doc:"only those with a greater ID: the last one that was seen"`
	Since      string `query:"since" doc:"only those not before this time (RFC 3339)"`
	Limit      int    `query:"limit" minimum:"0" doc:"the last so many; 0: all"`
	Follow     bool   `query:"follow" doc:"go on with those that follow"`
}

func (a *api) history(s rhumb.History) {
	handle(a, op("deployment", http.MethodGet, "/stacks/{stack}/deployments/{id}", "Show a deployment"),
		func(ctx context.Context, in *DeploymentPath) (rhumb.Deployment, error) {
			return s.Deployment(ctx, in.Stack, in.ID)
		})
	handle(a, op("deployments", http.MethodGet, "/stacks/{stack}/deployments", "List deployments, newest first"),
		func(ctx context.Context, in *deploymentsInput) ([]rhumb.Deployment, error) {
			return s.Deployments(ctx, in.Stack, in.Limit)
		})
	handle(a, op("releases", http.MethodGet, "/stacks/{stack}/releases", "List releases, newest first"),
		func(ctx context.Context, in *StackPath) ([]rhumb.ReleaseInfo, error) {
			return s.Releases(ctx, in.Stack)
		})
	handle(a, op("diff", http.MethodGet, "/stacks/{stack}/releases/diff", "Show how two releases differ"),
		func(ctx context.Context, in *diffInput) ([]rhumb.Difference, error) {
			return s.Diff(ctx, in.Stack, in.A, in.B)
		})
	stream(a, op("events", http.MethodGet, "/events", "Stream events"),
		func(ctx context.Context, in *eventsInput, send func(wire.Item) error) (wire.Item, error) {
			f := rhumb.EventFilter{
				Stack: in.Stack, Deployment: in.Deployment, After: in.After, Limit: in.Limit, Follow: in.Follow,
			}
			var err error
			if f.Since, err = timeOf(in.Since, "since"); err != nil {
				return wire.Item{}, err
			}
			for e, err := range s.Events(ctx, f) {
				if err != nil {
					return wire.Item{}, err
				}
				if err := send(wire.Item{Event: &e}); err != nil {
					return wire.Item{}, context.Canceled // the reader has gone
				}
			}
			return wire.Item{End: true}, nil
		})
}
