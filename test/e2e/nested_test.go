package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nestedEnv holds the binary's path where the test runs again inside namespaces of its own, with an engine of its own
// that it may stop and start.
const nestedEnv = "RHUMB_E2E_NESTED"

func TestARestartedEngineHeals(t *testing.T) {
	if os.Getenv(nestedEnv) == "" {
		needDocker(t)
		runNested(t)
		return
	}
	e := startEngine(t)
	docker(t, "load", "-i", os.Getenv("RHUMB_E2E_IMAGE"))
	s := newServer(t)
	k := newStack(t, s, two)
	k.must(0, "deploy")
	k.says(k.url("/"), `"Release":"one"`)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		e.stop(sig)
		time.Sleep(2 * time.Second)
		e.start()
		eventually(t, time.Minute, fmt.Sprintf("two replicas after the engine's end by %v", sig), func() error {
			return k.running(map[string]int{"app": 2})
		})
		eventually(t, 30*time.Second, "it answers", func() error {
			code, body, err := fetch(k.url("/"))
			if err != nil || code != 200 {
				return fmt.Errorf("%d %q %v", code, body, err)
			}
			return nil
		})
	}
	k.write("compose.yaml", strings.Replace(two, "RELEASE: one", "RELEASE: two", 1))
	k.must(0, "deploy")
	k.says(k.url("/"), `"Release":"two"`)
}

// runNested runs the calling test again in its own mount, network and pid namespaces.
func runNested(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "app.tar")
	docker(t, "save", "-o", image, "rhumb-test/app:1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(longer(5, 20))*time.Minute)
	defer cancel()
	script := `set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /var/lib/docker /var/lib/containerd
mount -t tmpfs none /var/lib/docker
mount -t tmpfs none /var/lib/containerd
ip link set lo up
"$@"` // no exec: the shell is the namespace's first process, and buries what loses its parent
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", script, "sh", os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), nestedEnv+"="+binary, "RHUMB_E2E_IMAGE="+image)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("inside the namespaces: %v", err)
	}
}

// engine is a dockerd of the test's own.
type engine struct {
	t     *testing.T
	dir   string
	flags []string
	cmd   *exec.Cmd
}

func startEngine(t *testing.T, flags ...string) *engine {
	t.Helper()
	e := &engine{t: t, dir: t.TempDir(), flags: flags}
	e.start()
	t.Cleanup(func() {
		e.stop(syscall.SIGTERM)
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(e.dir, "dockerd.log"))
			t.Logf("dockerd's log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return e
}

func (e *engine) start() {
	e.t.Helper()
	log, err := os.OpenFile(filepath.Join(e.dir, "dockerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command("dockerd", e.flags...)
	e.cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	eventually(e.t, 30*time.Second, "dockerd answers", func() error { return exec.Command("docker", "version").Run() })
}

func (e *engine) stop(sig syscall.Signal) {
	e.t.Helper()
	_ = e.cmd.Process.Signal(sig)
	_ = e.cmd.Wait()
	if sig == syscall.SIGKILL { // its pid file stays, and the pid may belong to another process by now
		_ = os.Remove("/run/docker.pid")
	}
}
