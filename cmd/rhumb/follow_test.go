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

// serveAt serves a stage at a socket until stop is called.
func serveAt(t *testing.T, s *stage, path string) (stop func()) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { done <- httpapi.Serve(ctx, ln, httpapi.New(servicesOf(s), log), log) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// startDeploy runs "rhumb deploy" with an image that names the scenario. It returns the deployment once its replica has
// started.
func startDeploy(t *testing.T, s *stage, image, socket string) (d rhumb.Deployment,
	ended func() (exit int, stdout, stderr string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "compose.yaml")
	if err := os.WriteFile(file, []byte("name: shop\nservices: {web: {image: '"+image+"'}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	exit := make(chan int, 1)
	go func() {
		args := []string{"deploy", "-f", file, "--host", "unix://" + socket}
		exit <- run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
	}()
	for e := range s.Events(t.Context(), rhumb.EventFilter{Follow: true}) {
		if e.Kind == rhumb.EventStarted {
			d, _ = s.Deployment(t.Context(), "shop", e.Deployment)
			break
		}
	}
	return d, func() (int, string, string) {
		select {
		case code := <-exit:
			return code, stdout.String(), stderr.String()
		case <-time.After(30 * time.Second):
			t.Fatal("the command does not end")
			return 0, "", ""
		}
	}
}

func TestFollowingSurvivesARestartOfTheServer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	s := newStage()
	stop := serveAt(t, s, socket)
	d, ended := startDeploy(t, s, "slow:1", socket)
	stop()
	s.replica(d, "web", rhumb.EventReady) // while the client has no connection
	stop = serveAt(t, s, socket)
	defer stop()
	s.end(d, rhumb.PhaseConverged, "")
	code, stdout, stderr := ended()
	if code != 0 || stdout != "converged: shop@42 serves\n" {
		t.Errorf("the command ended with %d and %q", code, stdout)
	}
	if n := strings.Count(stderr, "web.42.1: ready\n"); n != 1 {
		t.Errorf("the event in between was shown %d times:\n%s", n, stderr)
	}
}

func TestADeploymentIsFollowedIfTheRequestsConnectionBreaks(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	s := newStage()
	stop := serveAt(t, s, socket)
	d, ended := startDeploy(t, s, "hang:1", socket)
	stop()
	stop = serveAt(t, s, socket)
	defer stop()
	s.end(d, rhumb.PhaseConverged, "")
	if code, stdout, stderr := ended(); code != 0 || stdout != "converged: shop@42 serves\n" {
		t.Errorf("the command ended with %d, %q and %q", code, stdout, stderr)
	}
}
