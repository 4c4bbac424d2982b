//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestTheProcessDiesAtTheNthPassAndOnlyOnce(t *testing.T) {
	if os.Getenv(Folder) != "" {
		for range 3 {
			Here("before", "start")
			Here("after", "start")
		}
		return
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, Kill), []byte("after start:2"), 0o600); err != nil {
		t.Fatal(err)
	}
	pass := func() error {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), Folder+"="+dir)
		return cmd.Run()
	}
	var exit *exec.ExitError
	if err := pass(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("it ends with %v, want SIGKILL", err)
	}
	const want = "before start\nafter start\nbefore start\nafter start\n"
	if got, err := os.ReadFile(filepath.Join(dir, Passed)); err != nil || string(got) != want {
		t.Errorf("passed %q (%v), want %q", got, err, want)
	}
	if err := pass(); err != nil {
		t.Errorf("the second time it ends with %v", err)
	}
}
