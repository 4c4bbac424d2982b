package build

import (
	"context"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"

	"rhumb"
	"rhumb/internal/dockerauth"
)

// registryAuth answers the engine's questions for credentials during a build. The engine fetches tokens itself, so
// that nothing is written anywhere here.
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

// Register is what a BuildKit session asks for.
func (a *registryAuth) Register(s *grpc.Server) { auth.RegisterAuthServer(s, a) }

// Credentials gives those of a host, or empty ones: the engine then asks as a stranger.
func (a *registryAuth) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	c := a.known[dockerauth.Host(r.GetHost())]
	if c.IdentityToken != "" {
		return &auth.CredentialsResponse{Secret: c.IdentityToken}, nil // no user name: it is a refresh token
	}
	return &auth.CredentialsResponse{Username: c.Username, Secret: c.Password}, nil
}
