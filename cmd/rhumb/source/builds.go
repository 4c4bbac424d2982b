package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/build"
	"rhumb/compose"
	"rhumb/internal/dockerauth"
)

// maxBuilds is how many images are built at the same time.
const maxBuilds = 4

// buildImages builds the images of services with a build, in parallel, and puts their names and IDs into the request.
func buildImages(ctx context.Context, s rhumb.Builder, p *compose.Project, r *rhumb.DeployRequest,
	config *dockerauth.Config, progress func(rhumb.BuildProgress)) error {
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
			br, dockerfile, err := buildRequest(ctx, r, svc, where, config)
			if err != nil {
				return err
			}
			img, err := buildOne(ctx, s, br, where.Dir, dockerfile, progress)
			svc.Container.Image, svc.Container.ImageID = br.Name, img.ID
			return inComposeFile(err, where.Inline)
		})
	}
	return g.Wait()
}

// buildRequest returns the request to build a service's image, and the path of its Dockerfile in the context.
func buildRequest(ctx context.Context, r *rhumb.DeployRequest, svc *rhumb.Service, where compose.Context,
	config *dockerauth.Config) (br rhumb.BuildRequest, dockerfile string, err error) {
	br = rhumb.BuildRequest{Stack: r.Model.Name, Service: svc.Name, Build: *svc.Build, Secrets: where.Secrets}
	if br.Auth, err = config.For(ctx, baseImages(where, *svc.Build)); err != nil {
		return br, "", err
	}
	if svc.Build.Remote() {
		br.Name = build.RemoteName(r.Model.Name, svc.Name, svc.Build.Context)
		return tagged(br, svc), "", nil
	}
	if where.Dockerfile != "" {
		if dockerfile, err = filepath.Rel(where.Dir, where.Dockerfile); err != nil {
			return br, "", rhumb.Errorf(rhumb.Invalid, "service %s: Dockerfile %s is not reachable from the build context %s",
				svc.Name, where.Dockerfile, where.Dir)
		}
	}
	content := ""
	if r.Git.Commit == "" {
		if content, err = build.Content(where.Dir, dockerfile, *svc.Build); err != nil {
			return br, "", err
		}
	}
	br.Name = build.Name(r.Model.Name, svc.Name, r.Git, content)
	return tagged(br, svc), dockerfile, nil
}

// tagged adds the image name that the user wrote, if any, as a tag.
func tagged(br rhumb.BuildRequest, svc *rhumb.Service) rhumb.BuildRequest {
	if svc.Container.Image != "" && svc.Container.Image != br.Name {
		br.Build.Tags = append(slices.Clone(br.Build.Tags), svc.Container.Image)
	}
	return br
}

// buildOne sends a build context, unless the engine fetches it, and waits for the image.
func buildOne(ctx context.Context, s rhumb.Builder, r rhumb.BuildRequest, dir, dockerfile string,
	progress func(rhumb.BuildProgress)) (rhumb.Image, error) {
	if r.Build.Remote() {
		return s.Build(ctx, r, strings.NewReader(""), progress)
	}
	tar, w := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		w.CloseWithError(build.Tar(w, dir, dockerfile))
	}()
	img, err := s.Build(ctx, r, tar, progress)
	_ = tar.Close() // stops the sender if the build ended early
	<-sent
	return img, err
}

// blockStart matches the line of a key whose value is a literal block: the lines below, unchanged.
var blockStart = regexp.MustCompile(`:\s+\|[-+0-9]*\s*(#.*)?$`)

// inComposeFile turns the place of an error in an inline Dockerfile into a place in the Compose file. inline is where
// the Dockerfile is, such as "compose.yaml:12". Other errors are returned unchanged.
func inComposeFile(err error, inline string) error {
	var e *rhumb.Error
	if inline == "" || !errors.As(err, &e) {
		return err
	}
	number, ok := strings.CutPrefix(e.At, "dockerfile_inline:")
	n, notNumber := strconv.Atoi(number)
	i := strings.LastIndex(inline, ":")
	if !ok || notNumber != nil || i < 0 {
		return err
	}
	file := inline[:i]
	key, notNumber := strconv.Atoi(inline[i+1:])
	content, _ := os.ReadFile(file) // an unreadable file has no lines
	lines := strings.Split(string(content), "\n")
	placed := *e
	if notNumber == nil && key >= 1 && key <= len(lines) && blockStart.MatchString(lines[key-1]) {
		placed.At = fmt.Sprintf("%s:%d", file, key+n)
	} else {
		placed.At, placed.Msg = inline, fmt.Sprintf("line %d of dockerfile_inline: %s", n, e.Msg)
	}
	return &placed
}

var fromLine = regexp.MustCompile(`(?i)^\s*FROM\s+(?:--\S+\s+)*(\S+)`)

// baseImages returns the images in a Dockerfile that a build may pull. Their registries may need credentials.
func baseImages(where compose.Context, b rhumb.Build) []string {
	refs := slices.Clone(b.CacheFrom)
	content := []byte(b.Inline)
	if where.Dockerfile != "" {
		content, _ = os.ReadFile(where.Dockerfile) // the build reports a missing file
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if m := fromLine.FindStringSubmatch(lines.Text()); m != nil {
			refs = append(refs, m[1])
		}
	}
	return refs
}
