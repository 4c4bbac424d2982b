// Package parttest plays parts of tests in processes of their own: such a process may be killed, and may have a small
// disk. The test binary is the process. TestMain calls Play, and a test calls Command or InMounts.
package parttest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// variable is the environment variable that names the part.
const variable = "RHUMB_TEST_PART"

// Play plays the part that this process was started for, and exits. It returns if this process is no part.
func Play(parts map[string]func() error) {
	name := os.Getenv(variable)
	if name == "" {
		return
	}
	part, ok := parts[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "there is no part %q\n", name)
		os.Exit(2)
	}
	if err := part(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command returns the command that plays a part, with a folder as its working directory.
func Command(t testing.TB, name, dir string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Dir, c.Stderr = dir, os.Stderr
	c.Env = append(os.Environ(), variable+"="+name)
	return c
}

// InMounts plays a part in a mount namespace of its own, where it may call Mount. It needs root: without, it skips the
// test, except in CI.
func InMounts(t *testing.T, name string) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting a disk needs root")
		}
		t.Skip("mounting a disk needs root")
	}
	c := Command(t, name, t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := c.Output(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Mount mounts a new disk over the working directory's folder disk. The size is in the words of mount: "700k".
func Mount(size string) error {
	if err := os.Mkdir("disk", 0o700); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("tmpfs", "disk", "tmpfs", 0, "size="+size)
}
