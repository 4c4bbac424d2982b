package httpapi

import (
	"context"
	"net/http"

	"rhumb"
)

func (a *api) stacks(s rhumb.Stacks) {
	handle(a, op("info", http.MethodGet, "/info", "Describe the server"),
		func(ctx context.Context, _ *struct{}) (rhumb.ServerInfo, error) { return s.Info(ctx) })
	handle(a, op("stacks", http.MethodGet, "/stacks", "List the stacks"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.StackInfo, error) { return s.Stacks(ctx) })
	handle(a, op("status", http.MethodGet, "/stacks/{stack}", "Show a stack's services and replicas"),
		func(ctx context.Context, in *StackPath) (rhumb.StackInfo, error) { return s.Status(ctx, in.Stack) })
}
