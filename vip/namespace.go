package vip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// folder is where namespaces have their names, as for "ip netns".
const folder = "/run/netns"

// onOwnThread runs f on a thread that is never used again, so that f may change the thread's namespaces. No way back
// can fail, and no other goroutine ever runs in a wrong namespace.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() { // the caller waits for it
		runtime.LockOSThread() // and never unlocked: the runtime ends the thread with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// Any but the process's first thread, which can't end, and whose namespace /proc/self/net shows.
			done <- onOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}

// within runs f on a thread inside the namespace.
func within(ns netns.NsHandle, f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter the namespace: %w", err)
		}
		return f()
	})
}

// openNamespace opens the namespace, or makes it if there is none. The caller closes it. A name without a namespace, as
// an interrupted process leaves it, is replaced.
func openNamespace(name string) (ns netns.NsHandle, made bool, err error) {
	ns, err = lookNamespace(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return ns, false, err
	}
	if err := removeNamespace(name); err != nil {
		return netns.None(), false, err
	}
	err = onOwnThread(func() (err error) {
		ns, err = netns.NewNamed(name)
		return err
	})
	if err != nil {
		return netns.None(), false, errors.Join(fmt.Errorf("make the namespace: %w", err), removeNamespace(name))
	}
	return ns, true, nil
}

// lookNamespace opens the namespace of the name. It returns fs.ErrNotExist if there is none.
func lookNamespace(name string) (netns.NsHandle, error) {
	ns, err := netns.GetFromName(name)
	if err != nil {
		return netns.None(), fmt.Errorf("open the namespace: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(ns), &st); err != nil || st.Type != unix.NSFS_MAGIC {
		return netns.None(), errors.Join(fmt.Errorf("namespace %s: only its name is there: %w", name, fs.ErrNotExist),
			ns.Close())
	}
	return ns, nil
}

// removeNamespace removes the name, and with it the namespace. It is idempotent.
func removeNamespace(name string) error {
	path := filepath.Join(folder, name)
	if err := unmount(path); err != nil {
		return fmt.Errorf("remove the namespace %s: %w", name, err)
	}
	err := unlink(path)
	if errors.Is(err, unix.EBUSY) { // it is mounted out of sight, too
		err = onOwnThread(func() error { return unlinkUncovered(path) })
	}
	if err != nil {
		return fmt.Errorf("remove the namespace: %w", err)
	}
	return nil
}

// unmount unmounts all that is visibly mounted at a path.
func unmount(path string) error {
	for {
		switch err := unix.Unmount(path, unix.MNT_DETACH); err {
		case nil: // there may be another mount beneath
		case unix.EINVAL, unix.ENOENT: // not mounted, or not there
			return nil
		default:
			return err
		}
	}
}

func unlink(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unlinkUncovered removes a name with a mount on it that no path reaches. "ip netns add" causes that: it mounts the
// folder over itself, with all that is mounted in it, and the older mounts are below. The calling thread gets copies of
// all mounts and removes the folder's from them. To that thread the name is then an ordinary file. When it removes such
// a file, the kernel detaches all mounts on it, in every mount namespace.
func unlinkUncovered(path string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("copy the mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part the mounts: %w", err)
	}
	for range maxCovers {
		if err := unmount(path); err != nil {
			return err
		}
		if err := unlink(path); !errors.Is(err, unix.EBUSY) {
			return err
		}
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("uncover %s: %w", folder, err)
		}
	}
	return unix.EBUSY
}

// maxCovers is how often the folder may be mounted over itself.
const maxCovers = 16

// namespaces lists the names that have the prefix.
func namespaces(prefix string) ([]string, error) {
	es, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var names []string
	for _, e := range es {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
