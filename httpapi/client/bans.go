package client

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"

	"rhumb"
)

var _ rhumb.BanBook = (*Client)(nil)

// Bans implements rhumb.BanBook.
func (c *Client) Bans(ctx context.Context) ([]rhumb.Ban, error) {
	return get[[]rhumb.Ban](ctx, c, "/bans")
}

// Ban implements rhumb.BanBook.
func (c *Client) Ban(ctx context.Context, o rhumb.BanOrder) (rhumb.Ban, error) {
	var ban rhumb.Ban
	err := c.call(ctx, http.MethodPost, "/bans", o, &ban)
	return ban, err
}

// Unban implements rhumb.BanBook.
func (c *Client) Unban(ctx context.Context, client netip.Prefix) ([]rhumb.Ban, error) {
	var ended []rhumb.Ban
	err := c.call(ctx, http.MethodDelete, "/bans?"+url.Values{"client": {client.String()}}.Encode(), nil, &ended)
	return ended, err
}

// WhyBanned implements rhumb.BanBook.
func (c *Client) WhyBanned(ctx context.Context, a netip.Addr) (rhumb.BanAnswer, error) {
	return get[rhumb.BanAnswer](ctx, c, "/bans/why?"+url.Values{"addr": {a.String()}}.Encode())
}
