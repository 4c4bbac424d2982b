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

// DeploymentPath names a deployment in a path.
type DeploymentPath struct {
	StackPath
	ID int64 `path:"id" minimum:"0" doc:"the deployment's number; 0: the stack's last"`
}

type cancelInput struct {
	DeploymentPath
	Body wire.CancelRequest
}

type deploymentsInput struct {
	StackPath
	Limit int `query:"limit" minimum:"0" doc:"at most so many; 0: all"`
}

func (a *api) deployer() {
	plan := op("plan", http.MethodPost, "/stacks/{stack}/plan", "Tell what a deploy would do")
	plan.MaxBodyBytes = wire.MaxModel
	handle(a, plan, func(ctx context.Context, in *deployInput) (rhumb.Plan, error) {
		if err := sameName(in.Stack, in.Body.Model.Name); err != nil {
			return rhumb.Plan{}, err
		}
		return a.s.Plan(ctx, in.Body)
	})
	deploy := op("deploy", http.MethodPost, "/stacks/{stack}/deployments", "Deploy a model; the stream reports pulls and ends with the deployment")
	deploy.MaxBodyBytes = wire.MaxModel
	stream(a, deploy, a.deploy)
	handle(a, op("change", http.MethodPost, "/stacks/{stack}/changes", "Scale, restart, roll back or take down"),
		func(ctx context.Context, in *changeInput) (rhumb.Deployment, error) {
			if err := sameName(in.Stack, in.Body.Stack); err != nil {
				return rhumb.Deployment{}, err
			}
			return a.s.Change(ctx, in.Body)
		})
	handle(a, op("plan-change", http.MethodPost, "/stacks/{stack}/changes/plan", "Tell what a change would do"),
		func(ctx context.Context, in *changeInput) (rhumb.Plan, error) {
			if err := sameName(in.Stack, in.Body.Stack); err != nil {
				return rhumb.Plan{}, err
			}
			return a.s.PlanChange(ctx, in.Body)
		})
	act(a, op("cancel", http.MethodPost, "/stacks/{stack}/deployments/{id}/cancel", "Have an open deployment put back"),
		func(ctx context.Context, in *cancelInput) error { return a.s.Cancel(ctx, in.Stack, in.ID, in.Body.By) })
	handle(a, op("deployment", http.MethodGet, "/stacks/{stack}/deployments/{id}", "Show a deployment"),
		func(ctx context.Context, in *DeploymentPath) (rhumb.Deployment, error) {
			return a.s.Deployment(ctx, in.Stack, in.ID)
		})
	handle(a, op("deployments", http.MethodGet, "/stacks/{stack}/deployments", "List deployments, newest first"),
		func(ctx context.Context, in *deploymentsInput) ([]rhumb.Deployment, error) {
			return a.s.Deployments(ctx, in.Stack, in.Limit)
		})
}

func (a *api) deploy(ctx context.Context, in *deployInput, send func(wire.Item) error) (wire.Item, error) {
	if err := sameName(in.Stack, in.Body.Model.Name); err != nil {
		return wire.Item{}, err
	}
	d, err := a.s.Deploy(ctx, in.Body, func(e rhumb.Event) { _ = send(wire.Item{Event: &e}) }) // one who is gone has cancelled ctx
	return wire.Item{Deployment: &d}, err
}
