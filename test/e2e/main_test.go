// Package e2e deploys real stacks on a real Docker Engine with the real binary, and tries to break its promises.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// binary is the rhumb that all tests run.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(trappedEnv) != "" { // see faults_test.go
		fmt.Fprintln(os.Stderr, spring())
		return 1
	}
	if binary = os.Getenv(nestedEnv); binary != "" { // see nested_test.go
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rhumb-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rhumb")
	return m.Run()
}

// ready builds the binary and the images, once; its error is every test's.
var ready = sync.OnceValue(func() error {
	if os.Getenv(nestedEnv) != "" {
		return nil
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", binary, "rhumb/cmd/rhumb")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build rhumb: %w\n%s", err, out)
	}
	if out, err := exec.Command("../../scripts/test-images").CombinedOutput(); err != nil {
		return fmt.Errorf("build the test images: %w\n%s", err, out)
	}
	return nil
})

// mustWork reports whether a missing tool is a failure instead of a reason to skip.
func mustWork() bool { return os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1" }

// needDocker skips the test where it can't run, or fails it where it must run.
func needDocker(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Docker, and -short leaves that out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		if mustWork() {
			t.Fatalf("Docker Engine does not answer: %v\n%s", err, out)
		}
		t.Skipf("Docker Engine does not answer: %v", err)
	}
	if os.Getuid() != 0 {
		t.Skip("the server needs root: it mounts secrets")
	}
	if err := ready(); err != nil {
		t.Fatal(err)
	}
}

// docker runs a docker command and returns its output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// dockerOutput is docker for commands that may fail.
func dockerOutput(args ...string) ([]byte, error) {
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("docker %v: %w", args, err)
	}
	return out, nil
}

// eventually waits until ok returns nil. After limit it fails the test with ok's last error.
func eventually(t *testing.T, limit time.Duration, what string, ok func() error) {
	t.Helper()
	start := time.Now()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
