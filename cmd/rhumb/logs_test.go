package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
)

// watched is a stream that a test waits on.
type watched struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // has room for one
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await waits until words were written.
func (w *watched) await(t *testing.T, words string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for !strings.Contains(w.String(), words) {
		select {
		case <-w.changed:
		case <-late:
			t.Fatalf("%q is never written:\n%s", words, w.String())
		}
	}
}

func TestFollowedLogsGoOnAfterABreakWithDeploymentsInBetween(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	s := newStage()
	defer serveAt(t, s, socket)()
	s.kept.fail(rhumb.Errorf(rhumb.Unavailable, "it broke"), 2)
	out := &watched{changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exit := make(chan int, 1)
	go func() {
		args := []string{"logs", "-f", "--release", "40", "-p", "shop", "--host", "unix://" + socket}
		exit <- run(ctx, args, strings.NewReader(""), out, out)
	}()
	out.await(t, "old two")
	s.end(s.begin(rhumb.Deployment{Stack: "shop", Cause: rhumb.CauseScale, To: 42, By: "bob"}), rhumb.PhaseConverged, "")
	out.await(t, "shop@42 serves (scale by bob)")
	l := rhumb.LogLine{Time: time.Now(), Stack: "shop", Service: "web", Replica: "shop-web.40.1", Release: 40,
		Text: "at last"}
	if _, err := s.kept.store.Append(t.Context(), []rhumb.LogLine{l}); err != nil {
		t.Fatal(err)
	}
	out.await(t, "at last")
	cancel()
	<-exit
	for _, text := range []string{"old one", "red", "ready", "Traceback", "one\n", "shop@42", "at last"} {
		want := 1
		if text == "one\n" {
			want = 2 // the old one, and one
		}
		if n := strings.Count(out.String(), text); n != want {
			t.Errorf("%q was printed %d times:\n%s", text, n, out.String())
		}
	}
	if strings.Contains(out.String(), "warning") {
		t.Errorf("it complains:\n%s", out.String())
	}
}
