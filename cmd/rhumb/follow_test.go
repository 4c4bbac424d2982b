package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/httpapi"
)

// serveAt puts a stage on a socket until stop is called.
func serveAt(t *testing.T, s *stage, path string) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { done <- httpapi.Serve(ctx, ln, httpapi.New(s, log), log) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestFollowingSurvivesARestartOfTheServer(t *testing.T) {
	dir := t.TempDir()
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "compose.yaml")
	if err := os.WriteFile(file, []byte("name: shop\nservices: {web: {image: 'slow:1'}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStage()
	stop := serveAt(t, s, socket)
	var stdout, stderr bytes.Buffer
	exit := make(chan int, 1)
	go func() {
		exit <- run(context.Background(), []string{"deploy", "-f", file, "--host", "unix://" + socket}, strings.NewReader(""), &stdout, &stderr)
	}()
	var d rhumb.Deployment
	for e := range s.Events(t.Context(), rhumb.EventFilter{Follow: true}) {
		if e.Kind == rhumb.EventStarted {
			d, _ = s.Deployment(t.Context(), "shop", e.Deployment)
			break
		}
	}
	stop()
	s.replica(d, "web", rhumb.EventReady) // while nobody can see it
	stop = serveAt(t, s, socket)
	defer stop()
	s.end(d, rhumb.PhaseConverged, "")
	select {
	case code := <-exit:
		if code != 0 || stdout.String() != "converged: shop@42 serves\n" {
			t.Errorf("it ended with %d and %q", code, stdout.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	if n := strings.Count(stderr.String(), "web.42.1: ready\n"); n != 1 {
		t.Errorf("the event in between was shown %d times:\n%s", n, stderr.String())
	}
}
