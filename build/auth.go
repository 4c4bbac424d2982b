package build

import (
	"context"
	"strings"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"

	"rhumb"
)

// registryAuth answers the engine's questions for credentials during a build. The engine fetches tokens itself, so that nothing is written
// anywhere here.
type registryAuth struct {
	auth.UnimplementedAuthServer
	known map[string]rhumb.Credentials // by bare host
}

func newRegistryAuth(known map[string]rhumb.Credentials) *registryAuth {
	a := &registryAuth{known: make(map[string]rhumb.Credentials, len(known))}
	for host, c := range known {
		a.known[bareHost(host)] = c
	}
	return a
}

// Register is what a BuildKit session asks for.
func (a *registryAuth) Register(s *grpc.Server) { auth.RegisterAuthServer(s, a) }

// Credentials gives those of a host, or empty ones: the engine then asks as a stranger.
func (a *registryAuth) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	c := a.known[bareHost(r.GetHost())]
	if c.IdentityToken != "" {
		return &auth.CredentialsResponse{Secret: c.IdentityToken}, nil // no user name: it is a refresh token
	}
	return &auth.CredentialsResponse{Username: c.Username, Secret: c.Password}, nil
}

// bareHost brings the forms that Docker configurations use to one: "https://index.docker.io/v1/" is "docker.io".
func bareHost(host string) string {
	host = strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	switch host {
	case "index.docker.io", "registry-1.docker.io":
		return "docker.io"
	}
	return host
}
