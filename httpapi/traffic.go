package httpapi

import (
	"context"
	"net/http"

	"rhumb"
	"rhumb/httpapi/wire"
)

func (a *api) traffic(s rhumb.Traffic) {
	handle(a, op("routes", http.MethodGet, "/routes", "Show what the proxy serves"),
		func(ctx context.Context, _ *struct{}) (rhumb.RouterStatus, error) { return s.Routes(ctx) })
	handle(a, op("certificates", http.MethodGet, "/certificates", "Show the certificates of all hosts"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.CertificateStatus, error) { return s.Certificates(ctx) })
	handle(a, op("root-certificate", http.MethodGet, "/certificates/root", "Show the internal authority's certificate"),
		func(ctx context.Context, _ *struct{}) (wire.Root, error) {
			pem, err := s.RootCertificate(ctx)
			return wire.Root{PEM: pem}, err
		})
}
