// Package atomicfile writes files that are whole or not there at all, also after a power cut, and reads whole ones.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Read gives the whole file at path, which may have at most limit bytes; a longer one is an error.
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
		return nil, errors.New("it is too long")
	}
	return b, nil
}

// Write replaces the file at path with data, and returns once both the content and the name are on disk. Whoever
// reads meanwhile sees the old content or the new, never a part. The folder must exist. The file gets exactly perm,
// whatever the umask; the old file's owner is not kept. After an error the old file is as it was, unless it
// was only the folder's fsync that failed: then the new content is there, but may not survive a power cut.
func Write(path string, data []byte, perm os.FileMode) error {
	return Fill(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Copy is Write with what a reader gives.
func Copy(path string, from io.Reader, perm os.FileMode) error {
	return Fill(path, perm, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
}

// Fill is Write with what a function writes. If that fails, the old file is as it was.
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
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// fill makes a temporary file in dir that holds what write writes, synced and closed, and gives its name.
func fill(dir, base string, perm os.FileMode, write func(io.Writer) error) (name string, err error) {
	f, err := os.CreateTemp(dir, "."+base+".*.tmp")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			f.Close() // closing twice is harmless
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

// syncDir makes the folder's list of names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
