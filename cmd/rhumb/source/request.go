// Package source makes what is sent to a server of what the user has here: the model, its git revision, credentials for registries, and
// images that are built.
package source

import (
	"context"
	"os"
	"path/filepath"

	"rhumb"
	"rhumb/cmd/rhumb/view"
	"rhumb/compose"
	"rhumb/internal/dockerauth"
	"rhumb/internal/gitrev"
)

// Request builds the images that want building, and makes a deploy's request. v shows how that goes on.
func Request(ctx context.Context, s rhumb.Builder, p *compose.Project, v view.Deployment) (rhumb.DeployRequest, error) {
	r := rhumb.DeployRequest{Model: p.Stack}
	git, err := gitrev.Of(ctx, p.Dir)
	if err != nil {
		v.Say("warning: " + err.Error()) // a release without its revision is better than none
	}
	r.Git = git
	r.Origin = Origin(ctx, p.Dir)
	config, err := dockerauth.Load(dockerConfig())
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
	err = view.Ticking(ctx, v, func(ctx context.Context) error { return buildImages(ctx, s, p, &r, &config, v) })
	return r, err // not in one line: the images are to be in it
}

// Origin returns where a project's files came from, as rhumb.ReleaseInfo has it. Checkouts of one repository have the
// same, wherever they lie: pipelines check out into other folders, on other machines.
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

// dockerConfig is the folder of the user's Docker configuration.
func dockerConfig() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}
