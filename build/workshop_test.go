package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
)

const base = "debian:12-slim"

// docker returns a client of the engine. Without an engine it skips the test, or fails it where it must run.
func docker(t testing.TB) *client.Client {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Docker, and -short is given")
	}
	c, err := client.New(client.FromEnv)
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err = c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err == nil {
			_, err = c.ImageInspect(ctx, base)
		}
	}
	if err == nil {
		t.Cleanup(func() { c.Close() })
		return c
	}
	if os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1" {
		t.Fatalf("Docker with the image %s is needed here: %v", base, err)
	}
	t.Skipf("Docker with the image %s can't be reached: %v", base, err)
	return nil
}

// workshop builds images of one random stack and removes them after the test.
type workshop struct {
	*testing.T
	docker  *client.Client
	builder *Builder
	stack   string

	mu   sync.Mutex
	made []string
}

func newWorkshop(t *testing.T) *workshop {
	c := docker(t)
	w := &workshop{T: t, docker: c, builder: New(c, slog.New(slog.DiscardHandler)),
		stack: fmt.Sprintf("build-%06x", rand.Uint32N(1<<24))}
	w.builder.API = func(context.Context) (string, error) { return c.ClientVersion(), nil } // docker() has agreed on it
	t.Setenv("TMPDIR", t.TempDir())
	t.Cleanup(func() {
		for _, name := range w.made {
			_, _ = c.ImageRemove(context.Background(), name, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		}
		if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return w
}

func (w *workshop) request(service string) rhumb.BuildRequest {
	return rhumb.BuildRequest{Stack: w.stack, Service: service, Name: Name(w.stack, service, rhumb.Git{}, "1"),
		Build: rhumb.Build{Context: "./" + service}}
}

// build builds the context in dir and returns the progress events.
func (w *workshop) build(dir string, r rhumb.BuildRequest) (rhumb.Image, []rhumb.BuildProgress, error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	pr, pw := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := Tar(pw, dir, r.Build.Dockerfile)
		pw.CloseWithError(err)
		packed <- err
	}()
	var news []rhumb.BuildProgress
	img, err := w.builder.Build(ctx, r, pr, func(p rhumb.BuildProgress) { news = append(news, p) })
	pr.CloseWithError(io.ErrClosedPipe)
	if packErr := <-packed; packErr != nil && err == nil {
		w.Errorf("pack: %v", packErr)
	}
	if err == nil {
		w.mu.Lock()
		w.made = append(append(w.made, r.Name), r.Build.Tags...)
		w.mu.Unlock()
	}
	return img, news, err
}

func (w *workshop) must(img rhumb.Image, news []rhumb.BuildProgress, err error) (rhumb.Image, []rhumb.BuildProgress) {
	w.Helper()
	if err != nil {
		w.Fatalf("%v (hint: %s)", err, rhumb.ErrorHint(err))
	}
	return img, news
}

// content returns the files of an image, one after the other, and those of its layers unpacked.
func (w *workshop) content(name string) []byte {
	w.Helper()
	r, err := w.docker.ImageSave(w.Context(), []string{name})
	if err != nil {
		w.Fatal(err)
	}
	defer r.Close()
	var all bytes.Buffer
	for files := tar.NewReader(r); ; {
		_, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all.Bytes()
		}
		if err != nil {
			w.Fatal(err)
		}
		b, err := io.ReadAll(files)
		if err != nil {
			w.Fatal(err)
		}
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil { // containerd's store keeps layers compressed
			if b, err = io.ReadAll(z); err != nil {
				w.Fatal(err)
			}
		}
		all.Write(b)
	}
}

func (w *workshop) inspect(name string) client.ImageInspectResult {
	w.Helper()
	i, err := w.docker.ImageInspect(w.Context(), name)
	if err != nil {
		w.Fatal(err)
	}
	return i
}

func outputs(news []rhumb.BuildProgress) string {
	var b strings.Builder
	for _, p := range news {
		if p.Output != "" {
			b.WriteString(p.Output + "\n")
		}
	}
	return b.String()
}
