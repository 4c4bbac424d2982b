package httpapi

import (
	"context"
	"net/http"

	"rhumb"
	"rhumb/httpapi/wire"
)

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

type logsInput struct {
	StackPath
	Service []string `query:"service,explode" doc:"only these services'"`
	Follow  bool     `query:"follow" doc:"go on with those that follow"`
	Tail    int      `query:"tail" doc:"the last so many of each replica; 0: all; negative: none of the old ones"`
	Since   string   `query:"since" doc:"only those not before this time (RFC 3339)"`
	Until   string   `query:"until" doc:"only those before this time (RFC 3339)"`
}

func (a *api) inspector() {
	handle(a, op("info", http.MethodGet, "/info", "Describe the server"),
		func(ctx context.Context, _ *struct{}) (rhumb.ServerInfo, error) { return a.s.Info(ctx) })
	handle(a, op("stacks", http.MethodGet, "/stacks", "List the stacks"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.StackInfo, error) { return a.s.Stacks(ctx) })
	handle(a, op("status", http.MethodGet, "/stacks/{stack}", "Show a stack's services and replicas"),
		func(ctx context.Context, in *StackPath) (rhumb.StackInfo, error) { return a.s.Status(ctx, in.Stack) })
	handle(a, op("releases", http.MethodGet, "/stacks/{stack}/releases", "List releases, newest first"),
		func(ctx context.Context, in *StackPath) ([]rhumb.ReleaseInfo, error) {
			return a.s.Releases(ctx, in.Stack)
		})
	handle(a, op("diff", http.MethodGet, "/stacks/{stack}/releases/diff", "Tell how two releases differ"),
		func(ctx context.Context, in *diffInput) ([]rhumb.Difference, error) {
			return a.s.Diff(ctx, in.Stack, in.A, in.B)
		})
	handle(a, op("routes", http.MethodGet, "/routes", "Show what the proxy serves"),
		func(ctx context.Context, _ *struct{}) (rhumb.RouterStatus, error) { return a.s.Routes(ctx) })
	handle(a, op("certificates", http.MethodGet, "/certificates", "Show the certificates of all hosts"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.CertificateStatus, error) {
			return a.s.Certificates(ctx)
		})
	handle(a, op("root-certificate", http.MethodGet, "/certificates/root", "Give the internal authority's certificate"),
		func(ctx context.Context, _ *struct{}) (wire.Root, error) {
			pem, err := a.s.RootCertificate(ctx)
			return wire.Root{PEM: pem}, err
		})
	stream(a, op("events", http.MethodGet, "/events", "Stream events"), a.events)
	stream(a, op("logs", http.MethodGet, "/stacks/{stack}/logs", "Stream log lines, merged by time"), a.logs)
}

func (a *api) events(ctx context.Context, in *eventsInput, send func(wire.Item) error) (wire.Item, error) {
	f := rhumb.EventFilter{Stack: in.Stack, Deployment: in.Deployment, After: in.After, Limit: in.Limit, Follow: in.Follow}
	var err error
	if f.Since, err = timeOf(in.Since, "since"); err != nil {
		return wire.Item{}, err
	}
	for e, err := range a.s.Events(ctx, f) {
		if err != nil {
			return wire.Item{}, err
		}
		if err := send(wire.Item{Event: &e}); err != nil {
			return wire.Item{}, context.Canceled // the reader has gone
		}
	}
	return wire.Item{End: true}, nil
}

func (a *api) logs(ctx context.Context, in *logsInput, send func(wire.Item) error) (wire.Item, error) {
	o := rhumb.LogOptions{Follow: in.Follow, Tail: in.Tail}
	var err error
	if o.Since, err = timeOf(in.Since, "since"); err != nil {
		return wire.Item{}, err
	}
	if o.Until, err = timeOf(in.Until, "until"); err != nil {
		return wire.Item{}, err
	}
	for l, err := range a.s.Logs(ctx, in.Stack, in.Service, o) {
		if err != nil {
			return wire.Item{}, err
		}
		if err := send(wire.Item{Line: &l}); err != nil {
			return wire.Item{}, context.Canceled // the reader has gone
		}
	}
	return wire.Item{End: true}, nil
}
