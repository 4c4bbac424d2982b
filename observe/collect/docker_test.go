package collect

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker"
)

// realEngine returns the engine of this machine. It skips the test without one, unless it must not be skipped.
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
		if os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1" {
			t.Fatalf("the engine must be there: %v", err)
		}
		t.Skipf("needs Docker: %v", err)
	}
	return e
}

// importApp makes an image of test/images/app for this test alone, and returns its ID.
func importApp(t *testing.T, e *docker.Engine, tag string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "rhumb/test/images/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	app, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h := &tar.Header{Typeflag: tar.TypeReg, Name: "app", Mode: 0o755, Size: int64(len(app))}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(app); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := e.Client().ImageImport(t.Context(), client.ImageImportSource{Source: &b, SourceName: "-"}, tag,
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/app"]`}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = e.Client().ImageRemove(context.Background(), tag, client.ImageRemoveOptions{Force: true})
	})
	_, err = io.Copy(io.Discard, r)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	i, err := e.Client().ImageInspect(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	return i.ID
}

func TestDockersLinesAreCollectedOnceThroughRotations(t *testing.T) {
	e := realEngine(t)
	stack := "lc" + strings.ToLower(rand.Text()[:10])
	tag := "rhumb-collect-test:" + stack
	const lines = 20_000
	command := []string{"do"}
	for i := range lines {
		command = append(command, "print", strconv.Itoa(i))
		if i%100 == 99 {
			command = append(command, "sleep", "15ms")
		}
	}
	for _, driver := range []string{"json-file", "local"} {
		t.Run(driver, func(t *testing.T) {
			options := map[string]string{"max-size": "100k", "max-file": "50"} // so many that none is removed unread
			c := rhumb.Container{Image: tag, ImageID: importApp(t, e, tag), Command: command, NetworkMode: "none",
				Logging: rhumb.Logging{Driver: driver, Options: options}}
			if driver == "local" {
				c.Logging.Options["max-size"] = "10m" // reading through the engine may be slower than a rotation
			}
			b := &bench{T: t, sink: newStore(7), path: filepath.Join(t.TempDir(), "positions")}
			r, err := e.Start(t.Context(), rhumb.ReplicaSpec{Stack: stack, Service: driver, Release: 1, Slot: 1,
				Container: c, Spec: c.Hash()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = e.Stop(context.Background(), r.ID)
				if err := e.Remove(context.Background(), r.ID); err != nil {
					t.Error(err)
				}
			}()
			collectDocker(b, e, r.ID)
			b.inOrder(r.ID, lines)
		})
	}
}

// collectDocker collects a container's lines until it ends, with crashes between.
func collectDocker(b *bench, e *docker.Engine, id string) {
	crashes := 0
	for ; ; crashes++ {
		b.Collector = New(Deps{Engine: e, Sink: b.sink, Positions: b.path,
			Log: slog.New(slog.NewTextHandler(b.Output(), nil))})
		c := b.Collector
		b.launch(func(ctx context.Context) error {
			defer c.close()
			return c.run(ctx)
		})
		if crashes < 4 {
			before := len(b.sink.of(id))
			b.within("more lines", func() bool {
				return len(b.sink.of(id)) > before+1000 || b.sink.has(id, fmt.Sprint(19_999))
			})
			if crashes%2 == 0 {
				if err := b.save(b.Context()); err != nil {
					b.Error(err)
				}
			}
			b.stop()
			b.sink.crash()
			continue
		}
		b.within("the container ended", func() bool {
			ws, err := e.Writers(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for _, w := range ws {
				if w.Line.Container == id {
					return !w.Finished.IsZero()
				}
			}
			return true
		})
		b.drained(id)
		b.stop()
		return
	}
}
