package drawing

import (
	"cmp"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client/pkg/versions"

	"rhumb"
	"rhumb/engine/docker/internal/label"
)

// mounts maps the mounts of the spec, and names nameless volumes after their slot.
func (d *drawing) mounts(h *container.HostConfig) {
	taken := map[string]bool{}
	for _, m := range d.c.Mounts {
		taken[path.Clean(m.Target)] = true
		if m.Type == rhumb.MountBind && m.SELinux != "" {
			h.Binds = append(h.Binds, d.bindString(m)) // only Binds can carry the label
			continue
		}
		if m.Type == rhumb.MountTmpfs && len(m.Options) > 0 {
			if h.Tmpfs == nil {
				h.Tmpfs = map[string]string{}
			}
			h.Tmpfs[m.Target] = tmpfsString(m) // only Tmpfs can carry them
			continue
		}
		if mapped, ok := d.mount(m); ok {
			h.Mounts = append(h.Mounts, mapped)
		}
	}
	for _, target := range d.Covered {
		taken[path.Clean(target)] = true
	}
	for _, target := range d.Volumes {
		if !taken[path.Clean(target)] {
			h.Mounts = append(h.Mounts, d.volume(rhumb.Mount{Type: rhumb.MountVolume, Target: target}))
		}
	}
}

func (d *drawing) mount(m rhumb.Mount) (mount.Mount, bool) {
	switch m.Type {
	case rhumb.MountVolume:
		return d.volume(m), true
	case rhumb.MountBind:
		return d.bind(m), true
	case rhumb.MountTmpfs:
		return mount.Mount{Type: mount.TypeTmpfs, Target: m.Target, ReadOnly: m.ReadOnly,
			// the API takes chmod's bits, not Go's
			TmpfsOptions: &mount.TmpfsOptions{SizeBytes: m.Size, Mode: os.FileMode(m.Mode)}}, true
	case rhumb.MountFile:
		source := d.Files[m.Target]
		if source == "" {
			d.invalid("the %s %s has no content", m.Kind, m.Source)
		}
		return mount.Mount{Type: mount.TypeBind, Source: source, Target: m.Target, ReadOnly: true}, true
	}
	if m.Type == rhumb.MountImage {
		image := mount.Mount{Type: mount.TypeImage, Source: cmp.Or(m.ImageID, m.Source), Target: m.Target,
			ReadOnly: m.ReadOnly}
		if m.Subpath != "" {
			image.ImageOptions = &mount.ImageOptions{Subpath: m.Subpath}
		}
		return image, true
	}
	d.invalid("mount at %s: unknown type %q", m.Target, m.Type)
	return mount.Mount{}, false
}

// volume maps a volume. A nameless volume belongs to the slot. That of a one-off is removed with it, unless the one-off
// mounts a slot's.
func (d *drawing) volume(m rhumb.Mount) mount.Mount {
	v := mount.Mount{Type: mount.TypeVolume, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly,
		VolumeOptions: &mount.VolumeOptions{NoCopy: m.NoCopy, Subpath: m.Subpath}}
	if m.Source == "" && (d.spec.OneOff == "" || d.spec.VolumesOf != "") {
		service := cmp.Or(d.spec.VolumesOf, d.spec.Service)
		v.Source = rhumb.AnonymousVolumeName(d.spec.Stack, service, d.spec.Slot, path.Clean(m.Target))
		v.VolumeOptions.Labels = map[string]string{label.Stack: d.spec.Stack, label.Service: service}
	}
	return v
}

// bind maps a folder or file of the server.
func (d *drawing) bind(m rhumb.Mount) mount.Mount {
	o := &mount.BindOptions{Propagation: mount.Propagation(m.Propagation)}
	switch m.Recursive {
	case "", "enabled":
	case "disabled":
		o.NonRecursive = true
	case "writable": // engines below API 1.44 do nothing else
		o.ReadOnlyNonRecursive = !versions.LessThan(d.API, "1.44")
	case "readonly":
		o.ReadOnlyForceRecursive = true
		if o.Propagation == "" {
			o.Propagation = mount.PropagationRPrivate // the engine accepts no other, and requires it to be explicit
		}
	default:
		d.invalid("mount at %s: recursive is %q, not enabled, disabled, writable or readonly", m.Target, m.Recursive)
	}
	return mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly, BindOptions: o}
}

// bindString formats a bind mount in the short form, with its SELinux label.
func (d *drawing) bindString(m rhumb.Mount) string {
	if m.Recursive != "" && m.Recursive != "enabled" {
		d.invalid("mount at %s: selinux and recursive can't be combined", m.Target)
	}
	options := []string{m.SELinux}
	if m.ReadOnly {
		options = append(options, "ro")
	}
	if m.Propagation != "" {
		options = append(options, m.Propagation)
	}
	return m.Source + ":" + m.Target + ":" + strings.Join(options, ",")
}

// tmpfsString formats the options of a memory file system for mount(8). The engine puts noexec, nosuid and nodev before
// them.
func tmpfsString(m rhumb.Mount) string {
	options := slices.Clone(m.Options)
	if m.ReadOnly {
		options = append(options, "ro")
	}
	if m.Size > 0 {
		options = append(options, "size="+strconv.FormatInt(m.Size, 10))
	}
	if m.Mode > 0 {
		options = append(options, "mode="+strconv.FormatUint(uint64(m.Mode), 8))
	}
	return strings.Join(options, ",")
}

// volumesFrom turns "service:ro" into "ID:ro" of the service's replica. "container:ID:ro" names a container outside the
// stack.
func (d *drawing) volumesFrom() []string {
	var list []string
	for _, from := range d.c.VolumesFrom {
		if outside, ok := strings.CutPrefix(from, "container:"); ok {
			list = append(list, outside)
			continue
		}
		service, mode, _ := strings.Cut(from, ":")
		id := d.spec.Joined[service]
		if id == "" {
			d.invalid("volumes_from %q: the service %s has no replica", from, service)
			continue
		}
		if mode != "" {
			id += ":" + mode
		}
		list = append(list, id)
	}
	return list
}
