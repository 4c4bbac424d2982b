package docker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/engine/docker"
)

// testImage is the image that the tests run: testapp and an empty folder, nothing else.
var testImage = sync.OnceValues(importTestImage)

// The images are this run's own, so that runs side by side don't take each other's away.
var (
	testTag      = "rhumb-engine-test:" + run
	declaringTag = "rhumb-engine-test-declaring:" + run
	run          = strings.ToLower(rand.Text()[:10])
)

func TestMain(m *testing.M) {
	code := m.Run()
	if c, err := client.New(client.WithHost(client.DefaultDockerHost)); err == nil {
		for _, tag := range []string{testTag, declaringTag} {
			// it may never have been made
			_, _ = c.ImageRemove(context.Background(), tag, client.ImageRemoveOptions{Force: true})
		}
		_ = c.Close()
	}
	os.Exit(code)
}

// need skips a test without an engine, unless it must not be skipped.
func need(t *testing.T) *docker.Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Docker: left out by -short")
	}
	e := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := e.Info(ctx); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1" {
			t.Fatalf("the engine must be there: %v", err)
		}
		t.Skipf("needs Docker: %v", err)
	}
	return e
}

// open makes an engine with a folder of its own for files.
func open(t *testing.T) *docker.Engine {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "files")
	e, err := docker.New(docker.Options{Files: folder, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	e.SetMarks("rhumb-" + run + ".local/") // others work on the same engine
	t.Cleanup(func() {
		_ = unix.Unmount(folder, unix.MNT_DETACH) // it is mounted only if a file was placed
		_ = e.Close()
	})
	return e
}

// stackName returns the name of a stack for one test. The stack's holdings are removed when the test ends.
func stackName(t *testing.T) string {
	t.Helper()
	stack := "et" + strings.ToLower(rand.Text()[:10])
	t.Cleanup(func() { sweep(t, stack) })
	return stack
}

// sweep removes everything of a stack, by its label.
func sweep(t *testing.T, stack string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := raw(t)
	f := client.Filters{}.Add("label", "dev.rhumb.stack="+stack)
	list, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: f})
	if err != nil {
		t.Errorf("sweep %s: %v", stack, err)
		return
	}
	for _, i := range list.Items {
		if _, err := c.ContainerRemove(ctx, i.ID, client.ContainerRemoveOptions{Force: true,
			RemoveVolumes: true}); err != nil {
			t.Errorf("sweep %s: %v", stack, err)
		}
	}
	ns, _ := c.NetworkList(ctx, client.NetworkListOptions{Filters: f})
	for _, n := range ns.Items {
		_, _ = c.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
	}
	vs, _ := c.VolumeList(ctx, client.VolumeListOptions{Filters: f})
	for _, v := range vs.Items {
		_, _ = c.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
	}
}

// raw returns a client of Docker's own.
func raw(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(client.DefaultDockerHost))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// image returns the ID of the test image. The first call creates the image.
func image(t *testing.T) string {
	t.Helper()
	id, err := testImage()
	if err != nil {
		t.Fatalf("make the test image: %v", err)
	}
	return id
}

func importTestImage() (string, error) {
	tarball, err := testTar()
	if err != nil {
		return "", err
	}
	return importImage(tarball, testTag, `ENTRYPOINT ["/app"]`)
}

// importImage creates an image from a tar and returns its ID.
func importImage(tarball []byte, tag string, changes ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.WithHost(client.DefaultDockerHost))
	if err != nil {
		return "", err
	}
	defer c.Close()
	r, err := c.ImageImport(ctx, client.ImageImportSource{Source: bytes.NewReader(tarball), SourceName: "-"}, tag,
		client.ImageImportOptions{Changes: changes})
	if err != nil {
		return "", err
	}
	defer r.Close()
	if _, err := new(bytes.Buffer).ReadFrom(r); err != nil {
		return "", err
	}
	i, err := c.ImageInspect(ctx, tag)
	return i.ID, err
}

// testTar returns the files of the test image: the program, statically linked.
var testTar = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "rhumb-testapp-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "app"), "./testapp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	app, err := os.ReadFile(filepath.Join(dir, "app"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeReg, Name: "app", Mode: 0o755, Size: int64(len(app))},
		{Typeflag: tar.TypeDir, Name: "data/", Mode: 0o777},
		{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
	} {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(app); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), w.Close()
})

// spec returns a spec that runs the test image with a command.
func spec(t *testing.T, stack, service string, slot int, command ...string) rhumb.ReplicaSpec {
	t.Helper()
	c := rhumb.Container{Image: testTag, ImageID: image(t), Command: command, NetworkMode: "none"}
	return rhumb.ReplicaSpec{Stack: stack, Service: service, Release: 1, Slot: slot, Container: c, Spec: c.Hash()}
}

func TestAReplicaStartsRunsAndGoes(t *testing.T) {
	e := need(t)
	ctx := t.Context()
	stack := stackName(t)
	begun := time.Now()
	r, err := e.Start(ctx, spec(t, stack, "web", 1, "trap", "print", "up", "sleep", "1h"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v: %+v", time.Since(begun), r)
	if !r.Alive() || r.Stack != stack || r.Service != "web" || r.Release != 1 || r.Slot != 1 {
		t.Errorf("not the replica that was asked for: %+v", r)
	}
	within(t, 10*time.Second, "it listens for its stop signal",
		func() bool { return slices.Contains(lines(t, e, r.ID), "up") })
	begun = time.Now()
	if err := e.Stop(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %v", time.Since(begun))
	rs, err := e.Replicas(ctx, stack)
	if err != nil || len(rs) != 1 || rs[0].State != rhumb.StateExited || rs[0].ExitCode != 0 {
		t.Fatalf("replicas: %+v, %v", rs, err)
	}
	if err := e.Remove(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
}
