package certs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/certmagic"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// Sealer seals what goes to the disk.
type Sealer interface {
	Seal([]byte) ([]byte, error)
	Open([]byte) ([]byte, error)
}

// storage keeps values under keys with slashes, each in a sealed file. Several processes may use one folder: locks are
// the kernel's, so that they end with the process that holds them. It implements certmagic.Storage.
type storage struct {
	dir string
	box Sealer

	mu    sync.Mutex
	locks map[string]*os.File
}

const (
	valuesFolder  = "values"
	locksFolder   = "locks"
	damagedFolder = "damaged"
	maxValue      = 1 << 20 // bytes of a sealed file
)

func newStorage(dir string, box Sealer) *storage {
	return &storage{dir: dir, box: box, locks: map[string]*os.File{}}
}

// path returns the file of a key. Keys are made of hosts and of names of authorities; none may name a file outside the
// folder.
func (s *storage) path(key string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(key)) || strings.ContainsRune(key, 0) {
		return "", rhumb.Errorf(rhumb.Internal, "certificates: %q can't be a file's name", key)
	}
	return filepath.Join(s.dir, valuesFolder, filepath.FromSlash(key)), nil
}

// Store writes a value.
func (s *storage) Store(_ context.Context, key string, value []byte) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	sealed, err := s.box.Seal(value)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return rhumb.Errorf(rhumb.Internal, "certificates: %w", err)
	}
	if err := atomicfile.Write(path, sealed, 0o600); err != nil {
		return rhumb.Errorf(rhumb.Internal, "certificates: %w", err)
	}
	return nil
}

// Load reads a value. If there is none, fs.ErrNotExist is in the error's chain.
func (s *storage) Load(_ context.Context, key string) ([]byte, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	sealed, err := atomicfile.Read(path, maxValue)
	if err != nil {
		return nil, err
	}
	return s.box.Open(sealed)
}

// Delete removes a key and all below it.
func (s *storage) Delete(_ context.Context, key string) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// setAside moves a key and all below it out of the way, and returns the new path.
func (s *storage) setAside(key string) (string, error) {
	from, err := s.path(key)
	if err != nil {
		return "", err
	}
	to := filepath.Join(s.dir, damagedFolder, filepath.Base(from)+"-"+time.Now().UTC().Format("20060102T150405"))
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.Rename(from, to)); err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "certificates: %w", err)
	}
	return to, nil
}

// Exists reports whether there is a value or something below the key.
func (s *storage) Exists(_ context.Context, key string) bool {
	path, err := s.path(key)
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

// accountsFolder is where certmagic keeps the accounts of an authority.
const accountsFolder = "users"

// List returns the keys below a prefix. It hides the accounts. From their list certmagic guesses an address for the
// authority, and takes a folder of an account without one, "default", for an address if its registration was
// interrupted. The address is the configured one, or none.
func (s *storage) List(_ context.Context, prefix string, recursive bool) ([]string, error) {
	if path.Base(prefix) == accountsFolder {
		return nil, fs.ErrNotExist
	}
	root, err := s.path(prefix)
	if err != nil {
		return nil, err
	}
	var keys []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(s.dir, valuesFolder), path)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(d.Name(), ".") { // not a file that is being written
			keys = append(keys, filepath.ToSlash(rel))
		}
		if d.IsDir() && !recursive {
			return fs.SkipDir
		}
		return nil
	})
	return keys, err
}

// Stat describes a key.
func (s *storage) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	path, err := s.path(key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: info.ModTime(), Size: info.Size(), IsTerminal: !info.IsDir()}, nil
}

// lockPause is how often a lock that another process holds is tried.
const lockPause = 50 * time.Millisecond

// Lock waits until this process holds the name, alone in this process and among all others.
func (s *storage) Lock(ctx context.Context, name string) error {
	dir := filepath.Join(s.dir, locksFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return rhumb.Errorf(rhumb.Internal, "certificates: %w", err)
	}
	sum := sha256.Sum256([]byte(name))
	f, err := os.OpenFile(filepath.Join(dir, hex.EncodeToString(sum[:16])), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC,
		0o600)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "certificates: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			s.mu.Lock()
			s.locks[name] = f
			s.mu.Unlock()
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return rhumb.Errorf(rhumb.Internal, "certificates: %w", err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			f.Close()
			return ctx.Err()
		}
	}
}

// Unlock releases the name.
func (s *storage) Unlock(_ context.Context, name string) error {
	s.mu.Lock()
	f := s.locks[name]
	delete(s.locks, name)
	s.mu.Unlock()
	if f == nil {
		return rhumb.Errorf(rhumb.Internal, "certificates: %q isn't locked", name)
	}
	return f.Close() // which unlocks
}

// prune removes given pairs, or files of routes, that nothing uses. A new one may belong to a table that comes in a
// moment.
func (s *storage) prune(ctx context.Context, of string, used map[string]bool) {
	keys, err := s.List(ctx, of, false)
	if err != nil {
		return
	}
	keys = slices.DeleteFunc(keys, func(k string) bool {
		info, err := s.Stat(ctx, k)
		return err != nil || used[strings.TrimPrefix(k, of+"/")] || time.Since(info.Modified) < time.Hour
	})
	for _, k := range keys {
		_ = s.Delete(ctx, k) // the next table retries it
	}
}

var _ certmagic.Storage = (*storage)(nil)
