package httpapi

import (
	"context"
	"net/http"
	"reflect"

	"rhumb"
	"rhumb/httpapi/wire"
)

var itemType = reflect.TypeFor[wire.Item]()

type deployInput struct {
	StackPath
	Body rhumb.DeployRequest
}

type changeInput struct {
	StackPath
	Body rhumb.ChangeRequest
}

type cancelInput struct {
	DeploymentPath
	Body wire.CancelRequest
}

func (a *api) deployer(s rhumb.Deployer) {
	plan := op("plan", http.MethodPost, "/stacks/{stack}/plan", "Show what a deploy would do")
	plan.MaxBodyBytes = wire.MaxModel
	handle(a, plan, func(ctx context.Context, in *deployInput) (rhumb.Plan, error) {
		if err := sameName(in.Stack, in.Body.Model.Name); err != nil {
			return rhumb.Plan{}, err
		}
		return s.Plan(ctx, in.Body)
	})
	deploy := op("deploy", http.MethodPost, "/stacks/{stack}/deployments",
		"Deploy a model; the stream reports pulls and ends with the deployment")
	deploy.MaxBodyBytes = wire.MaxModel
	stream(a, deploy, func(ctx context.Context, in *deployInput, send func(wire.Item) error) (wire.Item, error) {
		if err := sameName(in.Stack, in.Body.Model.Name); err != nil {
			return wire.Item{}, err
		}
		// A client that has gone has cancelled ctx.
		d, err := s.Deploy(ctx, in.Body, func(e rhumb.Event) { _ = send(wire.Item{Event: &e}) })
		return wire.Item{Deployment: &d}, err
	})
	handle(a, op("change", http.MethodPost, "/stacks/{stack}/changes", "Scale, restart, roll back or take down"),
		func(ctx context.Context, in *changeInput) (rhumb.Deployment, error) {
			if err := sameName(in.Stack, in.Body.Stack); err != nil {
				return rhumb.Deployment{}, err
			}
			return s.Change(ctx, in.Body)
		})
	handle(a, op("plan-change", http.MethodPost, "/stacks/{stack}/changes/plan", "Show what a change would do"),
		func(ctx context.Context, in *changeInput) (rhumb.Plan, error) {
			if err := sameName(in.Stack, in.Body.Stack); err != nil {
				return rhumb.Plan{}, err
			}
			return s.PlanChange(ctx, in.Body)
		})
	act(a, op("cancel", http.MethodPost, "/stacks/{stack}/deployments/{id}/cancel", "Roll back an open deployment"),
		func(ctx context.Context, in *cancelInput) error { return s.Cancel(ctx, in.Stack, in.ID, in.Body.By) })
}
