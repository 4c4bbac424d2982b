package convert

import (
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/diskfile"
)

// mounts converts volumes, tmpfs, configs and secrets, in this order.
func (c *converter) mounts(s types.ServiceConfig) []rhumb.Mount {
	var list []rhumb.Mount
	targets := map[string]bool{}
	add := func(at string, m rhumb.Mount, ok bool) {
		if !ok {
			return
		}
		if !path.IsAbs(m.Target) {
			c.bad.At(at, driveHint(m.Target, "begin it with /"), "target %q is not an absolute path", m.Target)
			return
		}
		m.Target = path.Clean(m.Target)
		if targets[m.Target] {
			c.bad.At(at, "keep one of them", "%s is mounted twice", m.Target)
			return
		}
		targets[m.Target] = true
		list = append(list, m)
	}
	for i, v := range s.Volumes {
		at := fmt.Sprintf("services.%s.volumes[%d]", s.Name, i)
		m, ok := c.volume(at, s.Name, v)
		add(at, m, ok)
	}
	for i, t := range s.Tmpfs {
		at := fmt.Sprintf("services.%s.tmpfs[%d]", s.Name, i)
		m, ok := c.tmpfs(at, t)
		add(at, m, ok)
	}
	for i, f := range s.Configs {
		at := fmt.Sprintf("services.%s.configs[%d]", s.Name, i)
		m, ok := c.fileMount(at, rhumb.FileConfig, types.FileReferenceConfig(f))
		add(at, m, ok)
	}
	for i, f := range s.Secrets {
		at := fmt.Sprintf("services.%s.secrets[%d]", s.Name, i)
		m, ok := c.fileMount(at, rhumb.FileSecret, types.FileReferenceConfig(f))
		add(at, m, ok)
	}
	return list
}

// driveHint is for a volume with a name of one letter: the library reads v:/data as a Windows path.
func driveHint(path, hint string) string {
	if len(path) > 2 && path[1] == ':' && path[2] == '/' {
		return "names of one letter are read as Windows drives: use a longer one, or the long syntax"
	}
	return hint
}

func (c *converter) volume(at, service string, v types.ServiceVolumeConfig) (rhumb.Mount, bool) {
	m := rhumb.Mount{Target: v.Target, ReadOnly: v.ReadOnly}
	switch v.Type {
	case types.VolumeTypeVolume:
		m.Type = rhumb.MountVolume
		if v.Volume != nil {
			m.NoCopy, m.Subpath = v.Volume.NoCopy, v.Volume.Subpath
		}
		if v.Bind != nil && v.Bind.SELinux != "" {
			c.note(at, rhumb.Ignored, "mode %s is for paths of the server: volumes have their label already", v.Bind.SELinux)
		}
		if v.Source == "" {
			return m, true
		}
		known, ok := c.project.Volumes[v.Source]
		if !ok {
			return m, false // reported by check
		}
		c.volumes[v.Source] = true
		m.Source = known.Name
		return m, true
	case types.VolumeTypeTmpfs:
		m.Type = rhumb.MountTmpfs
		if v.Tmpfs != nil {
			m.Size, m.Mode = int64(v.Tmpfs.Size), v.Tmpfs.Mode
		}
		return m, true
	case types.VolumeTypeBind:
		return c.bind(at, m, v)
	case types.VolumeTypeImage:
		return c.imageMount(at, m, v)
	case types.VolumeTypeNamedPipe, types.VolumeTypeCluster:
		return m, false // the table refuses them
	}
	c.bad.At(at+".type", "choose volume, bind, tmpfs or image", "unknown type %q", v.Type)
	return m, false
}

// imageMount converts a mount of an image's files.
func (c *converter) imageMount(at string, m rhumb.Mount, v types.ServiceVolumeConfig) (rhumb.Mount, bool) {
	if v.Source == "" {
		c.bad.At(at+".source", "name the image", "it is empty")
		return m, false
	}
	m.Type, m.Source = rhumb.MountImage, v.Source
	if v.Image != nil {
		m.Subpath = v.Image.SubPath
	}
	return m, true
}

// bind converts a bind mount. A project file that is mounted read-only becomes part of the release.
func (c *converter) bind(at string, m rhumb.Mount, v types.ServiceVolumeConfig) (rhumb.Mount, bool) {
	m.Type, m.Source = rhumb.MountBind, v.Source
	if v.Source == "" || !filepath.IsAbs(v.Source) {
		c.bad.At(at, driveHint(v.Source, "write source: with a path"), "source %q is not a path", v.Source)
		return m, false
	}
	if v.ReadOnly {
		if snapshot, ok := c.snapshot(at, m); ok {
			return snapshot, true
		}
	}
	m.Create = true
	if v.Bind != nil {
		m.Create = bool(v.Bind.CreateHostPath)
		if v.Bind.Propagation != "" && !isPropagation(v.Bind.Propagation) {
			c.bad.At(at+".bind.propagation", propagationHint, "unknown propagation %q", v.Bind.Propagation)
		}
		m.Propagation, m.SELinux, m.Recursive = v.Bind.Propagation, v.Bind.SELinux, v.Bind.Recursive
	}
	c.loosen(m.Source)
	c.note(at, rhumb.Honoured, "%s is a path of the server, not versioned", m.Source)
	return m, true
}

// loosen records a path of the project that a release doesn't contain.
func (c *converter) loosen(source string) {
	rel, err := filepath.Rel(c.in.Dir, source)
	if err != nil || !filepath.IsLocal(rel) {
		return
	}
	if rel != "." {
		rel = "./" + filepath.ToSlash(rel)
	}
	if !slices.Contains(c.loose, rel) {
		c.loose = append(c.loose, rel)
	}
}

// snapshot returns a FileProject for a regular file of at most 1 MB inside the project folder. A link out of the
// folder stays a bind mount.
func (c *converter) snapshot(at string, m rhumb.Mount) (rhumb.Mount, bool) {
	real, err := filepath.EvalSymlinks(m.Source)
	if err != nil {
		return m, false
	}
	top, err := filepath.EvalSymlinks(c.in.Dir)
	if err != nil || !inside(top, real) || !inside(c.in.Dir, m.Source) {
		return m, false
	}
	info, err := os.Stat(real)
	if err != nil || !info.Mode().IsRegular() || info.Size() > diskfile.MaxSnapshot {
		return m, false
	}
	name, err := filepath.Rel(c.in.Dir, m.Source)
	if err != nil {
		return m, false
	}
	content, err := diskfile.Read(real, name, diskfile.MaxSnapshot)
	if err != nil {
		c.bad.At(at, "make it readable for you", "%s", err)
		return m, false
	}
	f := c.keep(fileKey{rhumb.FileProject, filepath.ToSlash(name)}, content)
	return rhumb.Mount{Type: rhumb.MountFile, Kind: f.Kind, Source: f.Name, Target: m.Target, ReadOnly: true, Hash: f.Hash,
		Mode: uint32(info.Mode().Perm())}, true
}

// inside reports whether path is below dir.
func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// fileMount converts a service's config or secret.
func (c *converter) fileMount(at string, kind rhumb.FileKind, f types.FileReferenceConfig) (rhumb.Mount, bool) {
	file, ok := c.file(at, fileKey{kind, f.Source})
	if !ok {
		return rhumb.Mount{}, false
	}
	m := rhumb.Mount{Type: rhumb.MountFile, Kind: kind, Source: f.Source, Target: f.Target, ReadOnly: true,
		Hash: file.Hash,
		UID:  f.UID, GID: f.GID, Mode: 0o444}
	if m.Target == "" {
		m.Target = f.Source
	}
	if !path.IsAbs(m.Target) {
		base := "/"
		if kind == rhumb.FileSecret {
			base = "/run/secrets"
		}
		m.Target = path.Join(base, m.Target)
	}
	for name, id := range map[string]string{"uid": f.UID, "gid": f.GID} {
		if n, err := strconv.ParseUint(id, 10, 32); id != "" && (err != nil || n > math.MaxInt32) {
			c.bad.At(at+"."+name, "write the number: only the container knows the names", "%q is not a number", id)
		}
	}
	if f.Mode != nil {
		if *f.Mode < 0 || *f.Mode > 0o777 {
			c.bad.At(at+".mode", "write it in octal, as 0440", "%s is not a file's mode", f.Mode)
		}
		m.Mode = uint32(*f.Mode)
	}
	return m, true
}
