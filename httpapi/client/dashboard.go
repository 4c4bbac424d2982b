package client

import (
	"context"

	"rhumb"
)

var _ rhumb.Dashboard = (*Client)(nil)

// DashboardLink implements rhumb.Dashboard.
func (c *Client) DashboardLink(ctx context.Context) (rhumb.DashboardLink, error) {
	return get[rhumb.DashboardLink](ctx, c, "/dashboard")
}
