package docker

import (
	"errors"
	"io/fs"
	"os"

	"rhumb"
)

// makeFolders creates the missing sources of bind mounts that ask for it. Any other missing source is Invalid: the
// engine would silently create it.
func makeFolders(spec *rhumb.ReplicaSpec) error {
	for _, m := range spec.Container.Mounts {
		if m.Type != rhumb.MountBind {
			continue
		}
		_, err := os.Stat(m.Source)
		switch {
		case err == nil || !errors.Is(err, fs.ErrNotExist):
		case m.Create:
			if err := os.MkdirAll(m.Source, 0o755); err != nil {
				return rhumb.Errorf(rhumb.Invalid, "service %s: make folder %s: %w", spec.Service, m.Source, err)
			}
		default:
			return rhumb.Errorf(rhumb.Invalid, "service %s: bind source %s does not exist on the server", spec.Service,
				m.Source).
				WithHint("make it, or set create_host_path: true")
		}
	}
	return nil
}
