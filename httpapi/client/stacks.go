package client

import (
	"context"

	"rhumb"
)

// Info implements rhumb.Stacks.
func (c *Client) Info(ctx context.Context) (rhumb.ServerInfo, error) {
	return get[rhumb.ServerInfo](ctx, c, "/info")
}

// Stacks implements rhumb.Stacks.
func (c *Client) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	return get[[]rhumb.StackInfo](ctx, c, "/stacks")
}

// Status implements rhumb.Stacks.
func (c *Client) Status(ctx context.Context, stack string) (rhumb.StackInfo, error) {
	path, err := at("stacks", stack)
	if err != nil {
		return rhumb.StackInfo{}, err
	}
	return get[rhumb.StackInfo](ctx, c, path)
}
