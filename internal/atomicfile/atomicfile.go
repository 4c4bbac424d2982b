// Package atomicfile writes files atomically: after a crash or a power cut a file has its old content or the new,
// never a part. It also reads whole files.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Read returns the file at path. A file larger than limit bytes is an error.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errors.New("the file is too large")
	}
	return b, nil
}

// Write replaces the file at path with data. It returns once both the content and the name are on disk. Concurrent
// readers see the old content or the new, never a part. The folder must exist. The file gets exactly the mode perm,
// whatever the umask, and the owner of the process. After an error the old file is unchanged, with one exception: if
// only the folder's fsync failed, the new content is there but may not survive a power cut.
func Write(path string, data []byte, perm os.FileMode) error {
	return Fill(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Copy is Write with the content of a reader.
func Copy(path string, from io.Reader, perm os.FileMode) error {
	return Fill(path, perm, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
}

// Fill is Write with content that write produces. If write fails, the old file is unchanged.
func Fill(path string, perm os.FileMode, write func(io.Writer) error) error {
	dir := filepath.Dir(path)
	tmp, err := fill(dir, filepath.Base(path), perm, write)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// fill creates a temporary file in dir with the content, synced and closed, and returns its name.
func fill(dir, base string, perm os.FileMode, write func(io.Writer) error) (name string, err error) {
	f, err := os.CreateTemp(dir, "."+base+".*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			f.Close() // may be closed already
			os.Remove(f.Name())
		}
	}()
	if err = write(f); err != nil {
		return "", err
	}
	if err = f.Chmod(perm); err != nil {
		return "", err
	}
	if err = f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
