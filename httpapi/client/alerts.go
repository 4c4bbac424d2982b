package client

import (
	"context"
	"net/http"
	"net/url"

	"rhumb"
)

var _ rhumb.Alerts = (*Client)(nil)

// Alerts implements rhumb.Alerts.
func (c *Client) Alerts(ctx context.Context, stack string) ([]rhumb.Alert, error) {
	v := url.Values{}
	setString(v, "stack", stack)
	return get[[]rhumb.Alert](ctx, c, "/alerts?"+v.Encode())
}

// AlertRules implements rhumb.Alerts.
func (c *Client) AlertRules(ctx context.Context) ([]rhumb.AlertRule, error) {
	return get[[]rhumb.AlertRule](ctx, c, "/alerts/rules")
}

// AlertReceivers implements rhumb.Alerts.
func (c *Client) AlertReceivers(ctx context.Context) ([]rhumb.AlertReceiver, error) {
	return get[[]rhumb.AlertReceiver](ctx, c, "/alerts/receivers")
}

// TestAlert implements rhumb.Alerts.
func (c *Client) TestAlert(ctx context.Context) ([]rhumb.AlertReceiver, error) {
	var rs []rhumb.AlertReceiver
	err := c.call(ctx, http.MethodPost, "/alerts/test", nil, &rs)
	return rs, err
}

// Silences implements rhumb.Alerts.
func (c *Client) Silences(ctx context.Context) ([]rhumb.Silence, error) {
	return get[[]rhumb.Silence](ctx, c, "/silences")
}

// Silence implements rhumb.Alerts.
func (c *Client) Silence(ctx context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	var made rhumb.Silence
	err := c.call(ctx, http.MethodPost, "/silences", s, &made)
	return made, err
}

// RemoveSilence implements rhumb.Alerts.
func (c *Client) RemoveSilence(ctx context.Context, id string) error {
	path, err := at("silences", id)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodDelete, path, nil, nil)
}
