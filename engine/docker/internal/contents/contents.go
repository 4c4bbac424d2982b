// Package contents keeps the contents of configs and secrets on the server, in memory, for containers to mount.
package contents

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"rhumb"
)

// filesLimit bounds the memory that all configs and secrets may take.
const filesLimit = "256m"

// unfinished begins the names of files that are being written, or that a process left when it died.
const unfinished = ".new-"

// Store keeps the contents of configs and secrets in memory, each once: FOLDER/NAME/content, where the name is a keyed
// hash of content, owner and mode. The engine shows the name to everyone, so the key keeps a guess from being checked
// against it. Contents never change.
type Store struct {
	Folder   string
	Sweeping Fence // keeps a sweep out while files are placed whose container doesn't exist yet
	key      []byte
	mounting sync.Mutex
	mounted  bool
}

// Access is the mode of the folder around each content.
type Access os.FileMode

const (
	// RootOnly is for engines whose containers are root's children: the engine mounts the file as root, and inside a
	// container only the file's own mode counts.
	RootOnly Access = 0o700
	// Passable is for engines that map users: the process that mounts the file isn't root outside.
	Passable Access = 0o711
)

// New makes a store in a folder, with the key of its names. Nothing is touched before the first content is placed.
func New(folder string, key []byte) *Store {
	return &Store{Folder: folder, key: key, Sweeping: Fence{path: folder + ".lock"}}
}

// Place puts the files that a spec mounts in place, and returns their paths by target.
func (f *Store) Place(spec *rhumb.ReplicaSpec, access Access) (map[string]string, error) {
	var paths map[string]string
	for _, m := range spec.Container.Mounts {
		if m.Type != rhumb.MountFile {
			continue
		}
		content, err := contentOf(spec, m)
		if err != nil {
			return nil, err
		}
		path, err := f.write(content, m, access)
		if errors.Is(err, syscall.ENOSPC) {
			return nil, f.full(spec.Service, m, err)
		}
		if err != nil {
			return nil, fmt.Errorf("service %s: the %s %s: %w", spec.Service, m.Kind, m.Source, err)
		}
		if paths == nil {
			paths = map[string]string{}
		}
		paths[m.Target] = path
	}
	return paths, nil
}

// full returns the error for a content that doesn't fit.
func (f *Store) full(service string, m rhumb.Mount, err error) error {
	e := &rhumb.Error{Code: rhumb.Unavailable, Err: err,
		Msg: fmt.Sprintf("service %s: the %s %s: the memory for configs and secrets, %s, is full", service, m.Kind, m.Source,
			f.Folder)}
	return e.WithHint(`df -h %s shows how full; for more: mount -o remount,size=SIZE "$(findmnt -nT %[1]s -o TARGET)"`,
		f.Folder)
}

// contentOf finds the content that a mount names.
func contentOf(spec *rhumb.ReplicaSpec, m rhumb.Mount) ([]byte, error) {
	for _, file := range spec.Files {
		if file.Kind == m.Kind && file.Name == m.Source {
			return file.Content, nil
		}
	}
	return nil, rhumb.Errorf(rhumb.Invalid, "service %s: the %s %s has no content", spec.Service, m.Kind, m.Source)
}

// write puts one content in place and returns its path.
func (f *Store) write(content []byte, m rhumb.Mount, access Access) (string, error) {
	uid, err := owner("uid", m.UID)
	if err != nil {
		return "", err
	}
	gid, err := owner("gid", m.GID)
	if err != nil {
		return "", err
	}
	mode := os.FileMode(m.Mode & 0o777)
	if mode == 0 {
		mode = 0o444
	}
	if err := f.ready(); err != nil {
		return "", err
	}
	home := filepath.Join(f.Folder, f.name(content, uid, gid, mode))
	path := filepath.Join(home, "content")
	if _, err := os.Stat(path); err == nil { // it is complete: it was renamed into place
		return path, os.Chmod(home, os.FileMode(access))
	}
	tmp, err := f.temporary(content, uid, gid, mode)
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp)
	if err := os.MkdirAll(home, os.FileMode(access)); err != nil {
		return "", err
	}
	return path, os.Rename(tmp, path)
}

// name returns the name of a content with its owner and mode.
func (f *Store) name(content []byte, uid, gid int, mode os.FileMode) string {
	h := hmac.New(sha256.New, f.key)
	fmt.Fprintf(h, "%d %d %o\n", uid, gid, mode)
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// temporary writes a file under a temporary name, and leaves nothing if it fails. It doesn't sync: memory needs none.
func (f *Store) temporary(content []byte, uid, gid int, mode os.FileMode) (path string, err error) {
	tmp, err := os.CreateTemp(f.Folder, unfinished)
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(content)
	if err == nil && (uid != os.Geteuid() || gid != os.Getegid()) {
		err = tmp.Chown(uid, gid)
	}
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err != nil {
		os.Remove(tmp.Name())
	}
	return tmp.Name(), err
}

// owner parses a numeric user or group; "" is root.
func owner(what, s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, rhumb.Errorf(rhumb.Invalid, "%s %q is not a number", what, s).
			WithHint("names mean something only inside the image: write the number that its /etc/passwd has")
	}
	return int(n), nil
}

// ready creates the folder, and mounts a tmpfs on it unless it is in memory already.
func (f *Store) ready() error {
	f.mounting.Lock()
	defer f.mounting.Unlock()
	if f.mounted {
		return nil
	}
	if err := os.MkdirAll(f.Folder, 0o711); err != nil {
		return inMemory(f.Folder, err)
	}
	var fsys unix.Statfs_t
	if err := unix.Statfs(f.Folder, &fsys); err != nil {
		return inMemory(f.Folder, err)
	}
	if fsys.Type != unix.TMPFS_MAGIC && fsys.Type != unix.RAMFS_MAGIC {
		flags := uintptr(unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC)
		if err := unix.Mount("rhumb", f.Folder, "tmpfs", flags, "size="+filesLimit+",mode=0711"); err != nil {
			return inMemory(f.Folder, err)
		}
	}
	f.mounted = true
	return nil
}

func inMemory(folder string, err error) error {
	return rhumb.Errorf(rhumb.Internal, "folder %s for configs and secrets can't be kept in memory: %w", folder, err).
		WithHint("run the daemon as root, or mount a tmpfs there: mount -t tmpfs -o size=%s,mode=0711 rhumb %s", filesLimit,
			folder)
}

// Sweep removes every content whose name isn't used, and unfinished files. What stays gets that access: an older rhumb
// left it open to all. The caller must hold Sweeping.
func (f *Store) Sweep(used map[string]bool, access Access) error {
	entries, err := os.ReadDir(f.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep %s: %w", f.Folder, err)
	}
	var errs []error
	for _, entry := range entries {
		name := entry.Name()
		path := filepath.Join(f.Folder, name)
		content := len(name) == sha256.Size*2
		switch {
		case content && used[name]:
			errs = append(errs, os.Chmod(path, os.FileMode(access)))
		case content, strings.HasPrefix(name, unfinished):
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
