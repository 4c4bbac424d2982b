package compose

import (
	"path/filepath"

	"rhumb"
	"rhumb/compose/internal/diskfile"
)

// Named is a stack's name and where it comes from.
type Named struct {
	Stack    string
	Dir      string // the project folder, absolute
	ByFolder bool   // the name is made of the folder's: no name was chosen
}

// Name returns the name that Load would choose, without reading more of the files than it needs. found is false if
// Files is empty and there is no Compose file.
func Name(o Options) (n Named, found bool, err error) {
	start, err := filepath.Abs(o.Dir)
	if err != nil {
		return n, false, rhumb.Errorf(rhumb.Invalid, "folder %s: %w", o.Dir, err)
	}
	if len(o.Files) == 0 && environMap(o.Environ)["COMPOSE_FILE"] == "" && !above(start) {
		return n, false, nil
	}
	in, err := gather(o, start)
	if err != nil {
		return n, true, err
	}
	return in.named(), true, nil
}

func (in *input) named() Named { return Named{Stack: in.name, Dir: in.dir, ByFolder: in.byFolder} }

// above reports whether a Compose file is in dir or above it.
func above(dir string) bool {
	for ; len(diskfile.Present(dir, baseNames)) == 0; dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			return false
		}
	}
	return true
}
