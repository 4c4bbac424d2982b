// Package diskfile finds and reads files on the client's disk. Its errors are *rhumb.Error, with messages for users.
package diskfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"rhumb"
)

// The largest sizes of files.
const (
	MaxFile     = 5 << 20   // bytes of a Compose file
	MaxEnvFile  = 1 << 20   // bytes of an env file
	MaxSnapshot = 1 << 20   // bytes of a project file that a release keeps
	MaxContent  = 500 << 10 // bytes of a config or secret, as on Swarm
)

// Read reads a regular file of at most limit bytes. Devices and pipes, which may never end, are refused.
func Read(path, name string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &rhumb.Error{Code: rhumb.Invalid, Msg: name + ": there is no such file", Err: err}
	case err != nil:
		return nil, &rhumb.Error{Code: rhumb.Invalid, Msg: name + ": can't be read: " + Cause(err), Err: err}
	case info.IsDir():
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: is a folder, not a file", name)
	case !info.Mode().IsRegular():
		return nil, rhumb.Errorf(rhumb.Invalid, "%s: is not a regular file", name)
	case info.Size() > limit:
		return nil, TooLarge(name, limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &rhumb.Error{Code: rhumb.Invalid, Msg: name + ": can't be read: " + Cause(err), Err: err}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, &rhumb.Error{Code: rhumb.Invalid, Msg: name + ": can't be read: " + Cause(err), Err: err}
	}
	if int64(len(b)) > limit { // the file grew, or its file system reports no sizes
		return nil, TooLarge(name, limit)
	}
	return b, nil
}

// TooLarge returns the error for a file larger than limit.
func TooLarge(name string, limit int64) *rhumb.Error {
	size := fmt.Sprintf("%d KB", limit>>10)
	if limit >= 1<<20 {
		size = fmt.Sprintf("%d MB", limit>>20)
	}
	return rhumb.Errorf(rhumb.Invalid, "%s: is larger than %s", name, size)
}

// Cause returns the system's message without the path, which the message has already.
func Cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// Present returns the paths of the names that exist in the folder.
func Present(dir string, names []string) []string {
	var found []string
	for _, n := range names {
		found = append(found, Existing(filepath.Join(dir, n))...)
	}
	return found
}

// Existing returns a list with the path if the file exists, or nil.
func Existing(path string) []string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return []string{path}
	}
	return nil
}
