package backup

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const (
	marker      = "restoring" // exists while files are replaced
	asidePrefix = "before-"
	stagePrefix = ".restore-"
)

// Settled returns an error if a restore into the folder was interrupted while it replaced files: the folder then has
// a mix of two states.
func Settled(folder string) error {
	_, err := os.Stat(filepath.Join(folder, marker))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "the state folder can't be read: %w", err)
	}
	return rhumb.Errorf(rhumb.Conflict, "a restore into %s was interrupted", folder).
		WithHint("finish it: rhumb restore --force FILE")
}

// Restore replaces the files of a state folder, which no daemon may be using, by those of a backup. It moves the
// replaced files into a new folder inside the state folder and returns its name, or "" if there were none. It reads
// the backup twice: it changes nothing before it knows that the backup is complete and accept, unless nil, has
// approved it.
func Restore(r io.ReadSeeker, folder string, accept func(Info) error,
	with ...age.Identity) (info Info, aside string, err error) {
	if info, err = Verify(r, with...); err == nil && accept != nil {
		err = accept(info)
	}
	if err != nil {
		return info, "", err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return info, "", rhumb.Errorf(rhumb.Invalid, "the backup can't be read twice: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return info, "", refused(folder, err)
	}
	stage, err := os.MkdirTemp(folder, stagePrefix)
	if err != nil {
		return info, "", refused(folder, err)
	}
	defer removeStages(folder)
	if _, err := read(r, with,
		func(name string, content io.Reader) error { return unpack(stage, name, content) }); err != nil {
		return info, "", err
	}
	aside, err = swap(folder, stage)
	return info, aside, err
}

// removeStages removes unpacked files, also those of a restore that was killed.
func removeStages(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // the next restore does it
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagePrefix) {
			_ = os.RemoveAll(filepath.Join(folder, e.Name())) // or the next restore does it
		}
	}
}

// unpack writes one file into the stage.
func unpack(stage, name string, content io.Reader) error {
	path := filepath.Join(stage, filepath.FromSlash(name))
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = atomicfile.Copy(path, content, 0o600)
	}
	if err != nil {
		return refused(path, err)
	}
	return nil
}

// swap moves the folder's files aside and the stage's files in. The marker keeps a daemon from starting meanwhile.
func swap(folder, stage string) (aside string, err error) {
	if err := atomicfile.Write(filepath.Join(folder, marker), nil, 0o600); err != nil {
		return "", refused(folder, err)
	}
	old, err := os.ReadDir(folder)
	if err != nil {
		return "", refused(folder, err)
	}
	for _, e := range old {
		if stays(e.Name()) && e.Name() != database+"-wal" && e.Name() != database+"-shm" {
			continue
		}
		if aside == "" {
			if aside, err = os.MkdirTemp(folder, asidePrefix+time.Now().UTC().Format("20060102T150405")+"-"); err != nil {
				return "", refused(folder, err)
			}
		}
		if err := os.Rename(filepath.Join(folder, e.Name()), filepath.Join(aside, e.Name())); err != nil {
			return aside, refused(folder, err)
		}
	}
	staged, err := os.ReadDir(stage)
	if err != nil {
		return aside, refused(folder, err)
	}
	for _, e := range staged {
		if err := os.Rename(filepath.Join(stage, e.Name()), filepath.Join(folder, e.Name())); err != nil {
			return aside, refused(folder, err)
		}
	}
	err = errors.Join(atomicfile.SyncDir(folder), os.Remove(filepath.Join(folder, marker)), atomicfile.SyncDir(folder))
	if err != nil {
		return aside, refused(folder, err)
	}
	return aside, nil
}

func refused(what string, err error) error {
	return rhumb.Errorf(rhumb.Denied, "restore: %s: %w", what, err).
		WithHint("check that there is free space, and run it as root")
}
