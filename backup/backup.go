// Package backup writes a server's state (releases, secrets, certificates, and the key that opens them) into one
// sealed file, and restores it.
//
// The file is in age's format (age-encryption.org/v1), sealed with a passphrase or to recipients. It contains a tar:
// first a description, then the files of the state folder. Every 64 KiB of it and its end are authenticated, so a
// changed or truncated backup doesn't open.
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
	Files   int       `json:"-"` // number of files
	Bytes   int64     `json:"-"` // of all files
}

// Source is a state folder. A daemon may be using it.
type Source struct {
	Folder   string
	Info     Info
	Database func(context.Context) ([]byte, error) // returns a consistent copy
}

// leftOut are the entries of a state folder that aren't state: runtime files, files that are created again, kept logs,
// and other backups. The proxy's table has the addresses of replicas; the daemon builds it from the replicas that it
// finds.
var leftOut = []string{"lock", database + "-wal", database + "-shm", "proxy", "proxy.log", "proxy.log.1", "observe",
	"observe.log", "observe.log.1", "lines", "builds", "backups", marker}

// stays reports whether an entry of the state folder is not part of backups: a backup doesn't read it, a restore
// doesn't replace it.
func stays(name string) bool {
	return slices.Contains(leftOut, name) || strings.HasPrefix(name, asidePrefix) || strings.HasPrefix(name, stagePrefix)
}

// temporary reports whether a file was being written.
func temporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
}

// Write writes a backup. The daemon may go on meanwhile.
func Write(ctx context.Context, w io.Writer, from Source, to ...age.Recipient) (Info, error) {
	sealed, err := age.Encrypt(w, to...)
	if err != nil {
		return Info{}, rhumb.Errorf(rhumb.Internal, "backup: sealing failed: %w", err)
	}
	t := &writer{tar: tar.NewWriter(sealed), info: from.Info}
	if err := t.all(ctx, from); err != nil {
		return Info{}, err
	}
	if err := errors.Join(t.tar.Close(), sealed.Close()); err != nil {
		return Info{}, rhumb.Errorf(rhumb.Internal, "backup: writing failed: %w", err)
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
	w.info.Files, w.info.Bytes = 0, 0 // without the description
	b, err := from.Database(ctx)
	if err != nil {
		return err
	}
	if err := w.add(database, b); err != nil {
		return err
	}
	return w.folder(ctx, from.Folder)
}

// folder adds the files of the state folder except the database. The folder may be a link.
func (w *writer) folder(ctx context.Context, root string) error {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "backup: the state folder can't be read: %w", err)
	}
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil // removed in the meantime
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
		info, err := os.Stat(path) // follows a link
		if err == nil && info.IsDir() && !e.IsDir() {
			return rhumb.Errorf(rhumb.Unsupported, "backup: %s is a link to a folder, whose files would be missing", path).
				WithHint("replace the link by the folder itself")
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
		return rhumb.Errorf(rhumb.Internal, "backup: writing failed: %w", err)
	}
	w.info.Files++
	w.info.Bytes += h.Size
	return nil
}
