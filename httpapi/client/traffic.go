package client

import (
	"context"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Routes implements rhumb.Traffic.
func (c *Client) Routes(ctx context.Context) (rhumb.RouterStatus, error) {
	return get[rhumb.RouterStatus](ctx, c, "/routes")
}

// Certificates implements rhumb.Traffic.
func (c *Client) Certificates(ctx context.Context) ([]rhumb.CertificateStatus, error) {
	return get[[]rhumb.CertificateStatus](ctx, c, "/certificates")
}

// RootCertificate implements rhumb.Traffic.
func (c *Client) RootCertificate(ctx context.Context) (string, error) {
	r, err := get[wire.Root](ctx, c, "/certificates/root")
	return r.PEM, err
}
