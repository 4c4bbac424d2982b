package compose

import (
	"path/filepath"

	"rhumb"
	"rhumb/compose/internal/diskfile"
)

// Name gives the name that Load would give the stack, and understands no more of the files than that. found is false
// when no Compose file is named and none is there.
func Name(o Options) (name string, found bool, err error) {
	start, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", false, rhumb.Errorf(rhumb.Invalid, "folder %s: %w", o.Dir, err)
	}
	if len(o.Files) == 0 && environMap(o.Environ)["COMPOSE_FILE"] == "" && !above(start) {
		return "", false, nil
	}
	in, err := gather(o, start)
	if err != nil {
		return "", true, err
	}
	return in.name, true, nil
}

// above tells whether a Compose file is in dir or above it.
func above(dir string) bool {
	for ; len(diskfile.Present(dir, baseNames)) == 0; dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			return false
		}
	}
	return true
}
