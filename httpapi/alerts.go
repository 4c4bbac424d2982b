package httpapi

import (
	"context"
	"net/http"

	"rhumb"
)

type alertsInput struct {
	Stack string `query:"stack" doc:"only this stack's"`
}

type silenceInput struct{ Body rhumb.Silence }

type silencePath struct {
	ID string `path:"id" doc:"the silence's ID"`
}

func (a *api) alerts(s rhumb.Alerts) {
	handle(a, op("alerts", http.MethodGet, "/alerts", "List alerts, newest first"),
		func(ctx context.Context, in *alertsInput) ([]rhumb.Alert, error) { return s.Alerts(ctx, in.Stack) })
	handle(a, op("alert-rules", http.MethodGet, "/alerts/rules", "List the rules of alerts"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.AlertRule, error) { return s.AlertRules(ctx) })
	handle(a, op("alert-receivers", http.MethodGet, "/alerts/receivers", "Show where messages about alerts are sent"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.AlertReceiver, error) { return s.AlertReceivers(ctx) })
	handle(a, op("test-alert", http.MethodPost, "/alerts/test", "Send a test message to each receiver"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.AlertReceiver, error) { return s.TestAlert(ctx) })
	handle(a, op("silences", http.MethodGet, "/silences", "List the silences that haven't ended"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.Silence, error) { return s.Silences(ctx) })
	handle(a, op("silence", http.MethodPost, "/silences", "Keep alerts from being sent for a time"),
		func(ctx context.Context, in *silenceInput) (rhumb.Silence, error) { return s.Silence(ctx, in.Body) })
	act(a, op("remove-silence", http.MethodDelete, "/silences/{id}", "End a silence"),
		func(ctx context.Context, in *silencePath) error { return s.RemoveSilence(ctx, in.ID) })
}
