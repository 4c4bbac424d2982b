package measure

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/engine/docker"
)

// needed fails a test whose means are missing if it must not be skipped, and skips it otherwise.
func needed(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// realEngine returns the engine of this machine.
func realEngine(t *testing.T) *docker.Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Docker: left out by -short")
	}
	e, err := docker.New(docker.Options{Files: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := e.Info(ctx); err != nil {
		needed(t, "needs Docker: %v", err)
	}
	return e
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// stressImage makes an image of this machine's stress-ng and sleep for this test alone, and returns its ID.
func stressImage(t *testing.T, e *docker.Engine, tag string) string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"stress-ng", "sleep"} {
		path, err := exec.LookPath(name)
		if err != nil {
			needed(t, "needs %s: scripts/test-tools installs it", name)
		}
		files[path] = "/" + name
		out, err := exec.CommandContext(t.Context(), "ldd", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range library.FindAllStringSubmatch(string(out), -1) {
			files[m[1]] = m[1]
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for from, to := range files {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(to, "/"), Mode: 0o755, Size: int64(len(text))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := e.Client().ImageImport(t.Context(), client.ImageImportSource{Source: &b, SourceName: "-"}, tag,
		client.ImageImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = e.Client().ImageRemove(context.Background(), tag, client.ImageRemoveOptions{Force: true})
	})
	i, err := e.Client().ImageInspect(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	return i.ID
}

// stressed is a replica in which stress-ng runs.
type stressed struct {
	*world
	e    *docker.Engine
	name string
	id   string
}

// newStressed starts a replica that sleeps.
func newStressed(t *testing.T) *stressed {
	e := realEngine(t)
	stack := "mt" + strings.ToLower(rand.Text()[:10])
	tag := "rhumb-measure-test:" + stack
	c := rhumb.Container{Image: tag, ImageID: stressImage(t, e, tag), Command: []string{"/sleep", "600"},
		NetworkMode: "none", Resources: rhumb.Resources{NanoCPUs: 1500_000_000, Memory: 512 << 20, Blkio: countedDisk(t, e)}}
	spec := rhumb.ReplicaSpec{Stack: stack, Service: "web", Release: 1, Slot: 1, Container: c, Spec: c.Hash()}
	r, err := e.Start(t.Context(), spec)
	if err != nil || r.Error != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	t.Cleanup(func() {
		_, _ = e.Client().ContainerRemove(context.Background(), r.ID, client.ContainerRemoveOptions{Force: true})
	})
	w := &world{t: t, sink: newRecord(t), at: noon, ro: newRoster(e, quiet())}
	w.cs = newContainers("/", w.ro, newBoard(w.sink, quiet()), quiet())
	t.Cleanup(w.cs.close)
	w.ro.list(t.Context())
	return &stressed{world: w, e: e, name: r.Name(), id: r.ID}
}

// countedDisk returns a limit that no test reaches: with version 1 the kernel counts only for disks with one.
func countedDisk(t *testing.T, e *docker.Engine) *rhumb.Blkio {
	t.Helper()
	info, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var s unix.Stat_t
	if err := unix.Stat(info.Root, &s); err != nil {
		return nil // it is on another machine
	}
	event, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/uevent", unix.Major(s.Dev), unix.Minor(s.Dev)))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(event)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return &rhumb.Blkio{DeviceWriteBps: []rhumb.DeviceRate{{Path: "/dev/" + name, Rate: 100_000_000_000}}}
		}
	}
	return nil
}

// stress runs stress-ng in the replica until it has ended, and returns what it says.
func (s *stressed) stress(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	command := append([]string{"/stress-ng", "--temp-path", "/"}, args...)
	code, err := s.e.Exec(ctx, s.id, rhumb.ExecOptions{Command: command,
		Streams: rhumb.Streams{Out: &out, Err: &out}})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d: %s", code, out.String())
	}
	return out.String(), err
}

// TestWhatStressNgBurnsIsMeasured compares with what stress-ng says, or was asked for.
func TestWhatStressNgBurnsIsMeasured(t *testing.T) {
	s := newStressed(t)
	before := s.look(s.name)
	if before["cpu_limit"] != 1.5 || before["memory_limit_bytes"] != 512<<20 || before["up"] != 1 {
		t.Errorf("at first: %v", before)
	}
	out, err := s.stress(t.Context(), "--cpu", "1", "--cpu-method", "int64", "--timeout", "3s", "--times")
	if err != nil {
		t.Fatal(err)
	}
	after := s.look(s.name)
	want := stressTimes(t, out)
	if got := after["cpu_seconds_total"] - before["cpu_seconds_total"]; want < 0.5 || !near(got, want, 0.05) {
		t.Errorf("CPU: %v s, want %v", got, want)
	}
	if _, err = s.stress(t.Context(), "--hdd", "1", "--hdd-opts", "direct,wr-seq", "--hdd-bytes", "64M",
		"--hdd-write-size", "1M", "--hdd-ops", "64"); err != nil {
		t.Fatal(err)
	}
	written := s.look(s.name)["disk_written_bytes_total"] - after["disk_written_bytes_total"]
	t.Logf("CPU %v s, stress-ng says %v; written %v bytes", after["cpu_seconds_total"]-before["cpu_seconds_total"], want,
		written)
	if !near(written, 64<<20, 0.1) {
		t.Errorf("written: %v bytes, want %d", written, 64<<20)
	}
	s.memory(t)
}

// stressTimes returns the CPU time that stress-ng reports: "0.10s user time ( ...%)", and the same of the system.
func stressTimes(t *testing.T, out string) float64 {
	t.Helper()
	sum := 0.0
	for _, m := range regexp.MustCompile(`([0-9.]+)s (?:user|system) time`).FindAllStringSubmatch(out, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	if sum == 0 {
		t.Fatalf("no times in %s", out)
	}
	return sum
}

// memory has stress-ng hold memory, and compares.
func (s *stressed) memory(t *testing.T) {
	t.Helper()
	before := s.look(s.name)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = s.stress(ctx, "--vm", "1", "--vm-bytes", "200M", "--vm-keep", "--vm-hang", "0", "--vm-populate", "--timeout",
			"60s") // it is cut off
	}()
	const want = 200 << 20
	within(t, "the memory is taken", func() bool {
		return near(s.look(s.name)["memory_bytes"]-before["memory_bytes"], want, 0.05)
	})
	if now := s.look(s.name); now["processes"] != float64(tasksIn(t, s.id)) {
		t.Errorf("%v processes and threads, want %d", now["processes"], tasksIn(t, s.id))
	}
	cancel()
	<-ended
}

// tasksIn counts the threads of all processes of a container.
func tasksIn(t *testing.T, id string) int {
	t.Helper()
	groups, err := filepath.Glob("/proc/[0-9]*/task/*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range groups {
		if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte(id)) {
			n++
		}
	}
	return n
}
