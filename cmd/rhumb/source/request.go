// Package source makes the request of a deployment from the user's files: the model, its git revision, credentials for
// registries, and built images.
package source

import (
	"context"
	"os"
	"path/filepath"

	"rhumb"
	"rhumb/compose"
	"rhumb/internal/dockerauth"
	"rhumb/internal/gitrev"
)

// Server is the part of a server that a request needs.
type Server interface {
	rhumb.Builder
	Info(ctx context.Context) (rhumb.ServerInfo, error)
}

// Request makes the request of a deployment and builds its images. It builds nothing if the server's engine is too old
// for the stack. It calls warn with problems that don't prevent the deployment, and progress with news of the builds;
// progress may be called from several goroutines.
func Request(ctx context.Context, s Server, p *compose.Project,
	warn func(string), progress func(rhumb.BuildProgress)) (rhumb.DeployRequest, error) {
	r := rhumb.DeployRequest{Model: p.Stack}
	git, err := gitrev.Of(ctx, p.Dir)
	if err != nil {
		warn(err.Error()) // a release without its revision is better than no release
	}
	r.Git = git
	r.Origin = Origin(ctx, p.Dir)
	config, err := dockerConfig()
	if err != nil {
		return r, err
	}
	var refs []string
	for _, svc := range p.Stack.Services {
		if svc.Build == nil {
			refs = append(refs, svc.Container.Image)
		}
	}
	if r.Auth, err = config.For(ctx, refs); err != nil {
		return r, err
	}
	if len(refs) < len(p.Stack.Services) {
		if err := checkEngine(ctx, s, &p.Stack); err != nil {
			return r, err
		}
	}
	err = buildImages(ctx, s, p, &r, &config, progress)
	return r, err // not in one line: buildImages changes r
}

// checkEngine returns what the stack needs that the server's engine is too old for. The server checks it too, but after
// the builds.
func checkEngine(ctx context.Context, s Server, m *rhumb.Stack) error {
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	if unmet := info.Engine.Unmet(m); len(unmet) > 0 {
		return unmet
	}
	return nil
}

// Origin returns where a project's files came from, for rhumb.ReleaseInfo. All checkouts of a repository have the same
// origin, because pipelines check out into different folders on different machines.
func Origin(ctx context.Context, dir string) string {
	if origin, err := gitrev.Origin(ctx, dir); err == nil && origin != "" {
		return origin
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return host + ":" + dir
}

// dockerConfig returns the user's Docker configuration. A user without a home folder has none.
func dockerConfig() (dockerauth.Config, error) {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dockerauth.Load(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return dockerauth.Config{}, nil
	}
	return dockerauth.Load(filepath.Join(home, ".docker"))
}
