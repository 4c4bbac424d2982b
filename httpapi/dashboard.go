package httpapi

import (
	"context"
	"net/http"

	"rhumb"
)

func (a *api) dashboard(s rhumb.Dashboard) {
	handle(a, op("dashboard", http.MethodGet, "/dashboard", "Return the address of the dashboard, and its key"),
		func(ctx context.Context, _ *struct{}) (rhumb.DashboardLink, error) { return s.DashboardLink(ctx) })
}
