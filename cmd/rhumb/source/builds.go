package source

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/build"
	"rhumb/cmd/rhumb/view"
	"rhumb/compose"
	"rhumb/internal/dockerauth"
)

// maxBuilds is how many images are built at a time.
const maxBuilds = 4

// buildImages builds the images of the services that say how, side by side, and puts what came out into the request.
func buildImages(ctx context.Context, s rhumb.Builder, p *compose.Project, r *rhumb.DeployRequest, config *dockerauth.Config, v view.Deployment) error {
	r.Model.Services = slices.Clone(r.Model.Services)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxBuilds)
	for i := range r.Model.Services {
		svc := &r.Model.Services[i]
		if svc.Build == nil {
			continue
		}
		g.Go(func() error {
			where := p.Builds[svc.Name]
			auth, err := config.For(ctx, baseImages(where, *svc.Build))
			if err != nil {
				return err
			}
			br := rhumb.BuildRequest{Stack: r.Model.Name, Service: svc.Name, Build: *svc.Build, Name: build.Name(r.Model.Name, svc.Name, r.Git),
				Secrets: where.Secrets, Auth: auth}
			if svc.Build.Remote() {
				br.Name = build.RemoteName(r.Model.Name, svc.Name, svc.Build.Context)
			}
			if svc.Container.Image != "" && svc.Container.Image != br.Name {
				br.Build.Tags = append(slices.Clone(br.Build.Tags), svc.Container.Image)
			}
			img, err := buildOne(ctx, s, br, where, v)
			svc.Container.Image, svc.Container.ImageID = br.Name, img.ID
			return err
		})
	}
	return g.Wait()
}

// buildOne sends a context, unless the engine fetches it, and waits for its image.
func buildOne(ctx context.Context, s rhumb.Builder, r rhumb.BuildRequest, where compose.Context, v view.Deployment) (rhumb.Image, error) {
	if r.Build.Remote() {
		return s.Build(ctx, r, strings.NewReader(""), v.Build)
	}
	dockerfile := where.Dockerfile
	if dockerfile != "" {
		var err error
		if dockerfile, err = filepath.Rel(where.Dir, dockerfile); err != nil {
			return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid, "service %s: the Dockerfile %s can't be found from %s", r.Service, where.Dockerfile, where.Dir)
		}
	}
	tar, w := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		w.CloseWithError(build.Tar(w, where.Dir, dockerfile))
	}()
	img, err := s.Build(ctx, r, tar, v.Build)
	_ = tar.Close() // ends the sending, if it isn't done
	<-sent
	return img, err
}

var fromLine = regexp.MustCompile(`(?i)^\s*FROM\s+(?:--\S+\s+)*(\S+)`)

// baseImages lists the images that a build may pull, as far as its Dockerfile shows them: their registries may want credentials.
func baseImages(where compose.Context, b rhumb.Build) []string {
	refs := slices.Clone(b.CacheFrom)
	content := []byte(b.Inline)
	if where.Dockerfile != "" {
		content, _ = os.ReadFile(where.Dockerfile) // a missing one is the build's error to explain
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if m := fromLine.FindStringSubmatch(lines.Text()); m != nil {
			refs = append(refs, m[1])
		}
	}
	return refs
}
