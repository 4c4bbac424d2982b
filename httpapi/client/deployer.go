package client

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Plan implements rhumb.Deployer.
func (c *Client) Plan(ctx context.Context, r rhumb.DeployRequest) (rhumb.Plan, error) {
	var p rhumb.Plan
	path, err := at("stacks", r.Model.Name, "plan")
	if err != nil {
		return p, err
	}
	err = c.call(ctx, http.MethodPost, path, r, &p)
	return p, err
}

// Deploy implements rhumb.Deployer.
func (c *Client) Deploy(
	ctx context.Context, r rhumb.DeployRequest, progress func(rhumb.Event),
) (rhumb.Deployment, error) {
	path, err := at("stacks", r.Model.Name, "deployments")
	if err != nil {
		return rhumb.Deployment{}, err
	}
	body, err := encode(r)
	if err != nil {
		return rhumb.Deployment{}, err
	}
	post := request{method: http.MethodPost, path: path, header: jsonHeader, body: bytesReader(body)}
	last, err := c.stream(ctx, post, func(it wire.Item) bool {
		if it.Event != nil && progress != nil {
			progress(*it.Event)
		}
		return true
	})
	if err != nil {
		return rhumb.Deployment{}, err
	}
	if last.Deployment == nil {
		return rhumb.Deployment{}, c.broken(ctx, fmt.Errorf("the answer has no deployment"))
	}
	return *last.Deployment, nil
}

// Change implements rhumb.Deployer.
func (c *Client) Change(ctx context.Context, r rhumb.ChangeRequest) (rhumb.Deployment, error) {
	var d rhumb.Deployment
	path, err := at("stacks", r.Stack, "changes")
	if err != nil {
		return d, err
	}
	err = c.call(ctx, http.MethodPost, path, r, &d)
	return d, err
}

// PlanChange implements rhumb.Deployer.
func (c *Client) PlanChange(ctx context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	var p rhumb.Plan
	path, err := at("stacks", r.Stack, "changes", "plan")
	if err != nil {
		return p, err
	}
	err = c.call(ctx, http.MethodPost, path, r, &p)
	return p, err
}

// Cancel implements rhumb.Deployer.
func (c *Client) Cancel(ctx context.Context, stack string, id int64, by string) error {
	path, err := at("stacks", stack, "deployments", strconv.FormatInt(id, 10), "cancel")
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, wire.CancelRequest{By: by}, nil)
}
