package link

import (
	"context"
	"time"

	"rhumb"
	"rhumb/httpapi/client"
)

var (
	_ rhumb.Metrics   = (*Link)(nil)
	_ rhumb.Alerts    = (*Link)(nil)
	_ rhumb.Explainer = (*Link)(nil)
	_ rhumb.Dashboard = (*Link)(nil)
)

const (
	queryTime = time.Minute      // for an expression, which the process itself evaluates for less long
	whyTime   = 2 * time.Minute  // for an explanation, which takes many expressions
	alertTime = 15 * time.Second // for what is known of alerts
	testTime  = time.Minute      // for a message to each receiver
)

// Query implements rhumb.Metrics.
func (l *Link) Query(ctx context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	return through(ctx, l, queryTime, func(ctx context.Context, c *client.Client) ([]rhumb.Series, error) {
		return c.Query(ctx, q)
	})
}

// Why implements rhumb.Explainer.
func (l *Link) Why(ctx context.Context, q rhumb.WhyQuery) (rhumb.Explanation, error) {
	return through(ctx, l, whyTime, func(ctx context.Context, c *client.Client) (rhumb.Explanation, error) {
		return c.Why(ctx, q)
	})
}

// DashboardLink implements rhumb.Dashboard.
func (l *Link) DashboardLink(ctx context.Context) (rhumb.DashboardLink, error) {
	return through(ctx, l, statusTime, func(ctx context.Context, c *client.Client) (rhumb.DashboardLink, error) {
		return c.DashboardLink(ctx)
	})
}

// Alerts implements rhumb.Alerts.
func (l *Link) Alerts(ctx context.Context, stack string) ([]rhumb.Alert, error) {
	return through(ctx, l, alertTime, func(ctx context.Context, c *client.Client) ([]rhumb.Alert, error) {
		return c.Alerts(ctx, stack)
	})
}

// AlertRules implements rhumb.Alerts.
func (l *Link) AlertRules(ctx context.Context) ([]rhumb.AlertRule, error) {
	return through(ctx, l, alertTime, func(ctx context.Context, c *client.Client) ([]rhumb.AlertRule, error) {
		return c.AlertRules(ctx)
	})
}

// TestAlert implements rhumb.Alerts.
func (l *Link) TestAlert(ctx context.Context) ([]rhumb.AlertReceiver, error) {
	return through(ctx, l, testTime, func(ctx context.Context, c *client.Client) ([]rhumb.AlertReceiver, error) {
		return c.TestAlert(ctx)
	})
}

// AlertReceivers implements rhumb.Alerts.
func (l *Link) AlertReceivers(ctx context.Context) ([]rhumb.AlertReceiver, error) {
	return through(ctx, l, alertTime, func(ctx context.Context, c *client.Client) ([]rhumb.AlertReceiver, error) {
		return c.AlertReceivers(ctx)
	})
}

// Silences implements rhumb.Alerts.
func (l *Link) Silences(ctx context.Context) ([]rhumb.Silence, error) {
	return through(ctx, l, alertTime, func(ctx context.Context, c *client.Client) ([]rhumb.Silence, error) {
		return c.Silences(ctx)
	})
}

// Silence implements rhumb.Alerts. The process learns who asks.
func (l *Link) Silence(ctx context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	s.By = rhumb.ActorOf(ctx).By(s.By)
	return through(ctx, l, alertTime, func(ctx context.Context, c *client.Client) (rhumb.Silence, error) {
		return c.Silence(ctx, s)
	})
}

// RemoveSilence implements rhumb.Alerts.
func (l *Link) RemoveSilence(ctx context.Context, id string) error {
	_, err := through(ctx, l, alertTime, func(ctx context.Context, c *client.Client) (struct{}, error) {
		return struct{}{}, c.RemoveSilence(ctx, id)
	})
	return err
}
