package build

import (
	"context"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"

	"rhumb"
	"rhumb/internal/dockerauth"
)

// registryAuth provides registry credentials to the engine during a build. The engine exchanges them for tokens
// itself, so nothing is stored here.
type registryAuth struct {
	auth.UnimplementedAuthServer
	known map[string]rhumb.Credentials // by bare host
}

func newRegistryAuth(known map[string]rhumb.Credentials) *registryAuth {
	a := &registryAuth{known: make(map[string]rhumb.Credentials, len(known))}
	for host, c := range known {
		a.known[dockerauth.Host(host)] = c
	}
	return a
}

// Register adds the service to a BuildKit session.
func (a *registryAuth) Register(s *grpc.Server) { auth.RegisterAuthServer(s, a) }

// Credentials returns the credentials for a host. Without any it returns empty ones, and the engine pulls
// anonymously.
func (a *registryAuth) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	c := a.known[dockerauth.Host(r.GetHost())]
	if c.IdentityToken != "" {
		return &auth.CredentialsResponse{Secret: c.IdentityToken}, nil // no user name: it is a refresh token
	}
	return &auth.CredentialsResponse{Username: c.Username, Secret: c.Password}, nil
}
