package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/diskfile"
)

// build converts the build of a service's image, and records its context.
func (c *converter) build(s types.ServiceConfig) *rhumb.Build {
	b := s.Build
	path := "services." + s.Name + ".build"
	out := &rhumb.Build{
		Inline: b.DockerfileInline, Args: map[string]string{}, Target: b.Target, Labels: filled(b.Labels),
		Platform: c.buildPlatform(s),
		NoCache:  b.NoCache || len(b.NoCacheFilter) > 0, Pull: b.Pull, Network: b.Network, ShmSize: int64(b.ShmSize),
		CacheFrom: b.CacheFrom, Tags: b.Tags, ExtraHosts: hosts(b.ExtraHosts),
		Ulimits: ulimits(b.Ulimits),
	}
	for k, v := range b.Args {
		if v == nil {
			continue
		}
		if k == "BUILDKIT_INLINE_CACHE" && *v != "" && *v != "0" && *v != "false" {
			c.bad.At(path+".args."+k, "leave it out: layers stay in the engine's own cache", "it crashes Engine 20.10")
		}
		out.Args[k] = *v
	}
	out.Args = filled(out.Args)
	here := c.context(path, b, out)
	for i, secret := range b.Secrets {
		id := secret.Target
		if id == "" {
			id = secret.Source
		}
		if content, ok := c.buildSecret(fmt.Sprintf("%s.secrets[%d]", path, i), secret.Source); ok {
			if here.Secrets == nil {
				here.Secrets = map[string][]byte{}
			}
			here.Secrets[id] = content
			out.Secrets = append(out.Secrets, id)
		}
	}
	c.builds[s.Name] = here
	return out
}

func (c *converter) buildPlatform(s types.ServiceConfig) string {
	platforms := s.Build.Platforms
	switch {
	case s.Platform != "":
		if len(platforms) > 0 && !slices.Contains(platforms, s.Platform) {
			c.bad.At("services."+s.Name+".build.platforms", "add it", "the service's platform %s is not among them", s.Platform)
		}
		return s.Platform
	case len(platforms) == 1:
		return platforms[0]
	}
	return ""
}

// context finds the build context and the Dockerfile on the client's disk, unless the engine fetches the context.
func (c *converter) context(path string, b *types.BuildConfig, out *rhumb.Build) Context {
	out.Context = b.Context
	switch {
	case out.Remote():
		c.remoteDockerfile(path, b, out)
		return Context{}
	case strings.Contains(b.Context, "://"):
		c.bad.At(path+".context",
			"name a folder, or a repository as https://HOST/NAME.git#REF:FOLDER or git@HOST:NAME.git",
			"%s can't be a build context", b.Context)
		return Context{}
	}
	here := Context{Dir: b.Context}
	if c.bad.Follows(path) {
		return here // the real value was cut out because of a mistake
	}
	out.Context = filepath.ToSlash(c.relative(b.Context))
	info, err := os.Stat(b.Context)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.bad.At(path+".context", "", "%s: there is no such folder", c.in.Shown(b.Context))
		return here
	case err != nil:
		c.bad.At(path+".context", "", "%s: can't be read: %s", c.in.Shown(b.Context), diskfile.Cause(err))
		return here
	case !info.IsDir():
		c.bad.At(path+".context", "", "%s: is not a folder", c.in.Shown(b.Context))
		return here
	}
	if b.DockerfileInline != "" {
		if b.Dockerfile != "" {
			c.bad.At(path+".dockerfile_inline", "keep one of them", "dockerfile is set too")
		}
		here.Inline = c.lines.Find(path + ".dockerfile_inline")
		return here
	}
	here.Dockerfile = c.dockerfile(path, b, out)
	return here
}

// dockerfile returns the Dockerfile of a context that is a folder.
func (c *converter) dockerfile(path string, b *types.BuildConfig, out *rhumb.Build) string {
	file := b.Dockerfile
	if file == "" {
		file = "Dockerfile"
	}
	if file != "Dockerfile" {
		out.Dockerfile = filepath.ToSlash(file)
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(b.Context, file)
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		c.bad.At(path+".dockerfile", "write it, or name it with dockerfile:", "%s: there is no such file", c.in.Shown(file))
	}
	return file
}

// remoteDockerfile returns the Dockerfile's name in a context that the engine fetches.
func (c *converter) remoteDockerfile(path string, b *types.BuildConfig, out *rhumb.Build) {
	switch {
	case b.DockerfileInline != "":
		c.bad.At(path+".dockerfile_inline", "name a dockerfile of the repository, or clone it and name its folder",
			"%s has its own Dockerfile", b.Context)
	case b.Dockerfile != "" && !filepath.IsLocal(b.Dockerfile):
		c.bad.At(path+".dockerfile", "name one of the repository", "%s isn't in %s", b.Dockerfile, b.Context)
	case b.Dockerfile != "Dockerfile":
		out.Dockerfile = filepath.ToSlash(b.Dockerfile)
	}
}

// relative returns a path relative to the project folder, so that the stack doesn't depend on where the folder is.
func (c *converter) relative(path string) string {
	if rel, err := filepath.Rel(c.in.Dir, path); err == nil {
		return rel
	}
	return path
}

// buildSecret reads a secret for a build. Secrets of the server can't be used: they never leave it.
func (c *converter) buildSecret(at, name string) ([]byte, bool) {
	k := fileKey{rhumb.FileSecret, name}
	object, ok := c.object(k)
	if !ok {
		return nil, false // reported by check
	}
	c.used[k] = true
	if object.External {
		c.bad.At(at, "set file: or environment: of the secret",
			"secret %s is kept by the server and doesn't reach builds", name)
		return nil, false
	}
	return c.content(definition(k), object)
}
