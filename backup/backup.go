// Package backup writes a server's state (releases, secrets, certificates, the key that opens them) into one sealed
// file, and puts it back.
//
// The file is age's (age-encryption.org/v1), sealed with a passphrase or to recipients, around a tar: first a
// description, then the files of the state folder. Every 64 KiB of it are authenticated, and so is its end: what was
// changed or cut off doesn't open.
package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const (
	format      = 1
	description = "rhumb-backup.json" // the first entry
	database    = "rhumb.db"
	key         = "key"

	maxDescription = 64 << 10
	maxFile        = 256 << 20 // bytes of a file beside the database
)

// Info describes a backup.
type Info struct {
	Format  int
	Version string    // of the rhumb that made it
	Schema  int       // of the database
	Host    string    // the machine
	Made    time.Time // UTC
	Files   int       `json:"-"` // how many there are
	Bytes   int64     `json:"-"` // of all files
}

// Source is a state folder that a daemon may be using.
type Source struct {
	Folder   string
	Info     Info
	Database func(context.Context) ([]byte, error) // a consistent copy of it
}

// leftOut are the entries of a state folder that aren't state: what runs, what is made anew, and other backups. The
// proxy's table names addresses of replicas; the daemon makes it from the replicas that it finds.
var leftOut = []string{"lock", database + "-wal", database + "-shm", "proxy", "proxy.log", "proxy.log.1", "builds",
	"backups", marker}

// stays tells whether an entry of the state folder has no part in backups: neither read nor replaced.
func stays(name string) bool {
	return slices.Contains(leftOut, name) || strings.HasPrefix(name, asidePrefix) || strings.HasPrefix(name, stagePrefix)
}

// temporary tells whether a file is one that was being written.
func temporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// Write writes a backup. The daemon may go on meanwhile.
func Write(ctx context.Context, w io.Writer, from Source, to ...age.Recipient) (Info, error) {
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return Info{}, rhumb.Errorf(rhumb.Internal, "backup: it can't be sealed: %w", err)
	}
	t := &writer{tar: tar.NewWriter(sealed), info: from.Info}
	if err := t.all(ctx, from); err != nil {
		return Info{}, err
	}
	if err := errors.Join(t.tar.Close(), sealed.Close()); err != nil {
		return Info{}, rhumb.Errorf(rhumb.Internal, "backup: it can't be written: %w", err)
	}
	return t.info, nil
}

type writer struct {
	tar  *tar.Writer
	info Info
}

func (w *writer) all(ctx context.Context, from Source) error {
	w.info.Format = format
	about, err := json.Marshal(w.info)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "backup: %w", err)
	}
	if err := w.add(description, about); err != nil {
		return err
	}
	w.info.Files, w.info.Bytes = 0, 0 // the description isn't one of them
	b, err := from.Database(ctx)
	if err != nil {
		return err
	}
	if err := w.add(database, b); err != nil {
		return err
	}
	return w.folder(ctx, from.Folder)
}

// folder adds what the state folder, or the one that a link in its place leads to, has beside the database.
func (w *writer) folder(ctx context.Context, root string) error {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "backup: the state folder can't be read: %w", err)
	}
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil // it went meanwhile
		}
		if err != nil {
			return rhumb.Errorf(rhumb.Denied, "backup: %s can't be read: %w", path, err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if stays(name) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(path) // of what a link leads to
		if err == nil && info.IsDir() && !e.IsDir() {
			return rhumb.Errorf(rhumb.Unsupported, "backup: %s is a link to a folder, whose files would be missing", path).
				WithHint("put the folder in its place")
		}
		if err == nil && !info.Mode().IsRegular() || name == database || temporary(e.Name()) {
			return ctx.Err()
		}
		b, err := atomicfile.Read(path, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return rhumb.Errorf(rhumb.Denied, "backup: %s can't be read: %w", path, err)
		}
		return w.add(filepath.ToSlash(name), b)
	})
}

func (w *writer) add(name string, content []byte) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
	err := w.tar.WriteHeader(h)
	if err == nil {
		_, err = w.tar.Write(content)
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "backup: it can't be written: %w", err)
	}
	w.info.Files++
	w.info.Bytes += h.Size
	return nil
}
