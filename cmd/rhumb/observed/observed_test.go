package observed

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/httpapi"
	"rhumb/internal/unixsocket"
	"rhumb/observe/observefake"
)

// start runs the process in a folder until the test ends or stop is called.
func start(t *testing.T, dir string) (l *link.Link, stop func() error) {
	t.Helper()
	o := Options{State: filepath.Join(dir, "observe"), Socket: filepath.Join(dir, "s"), Version: "v1",
		DockerHost: "unix:///nowhere", Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	ended := false
	stop = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	l = link.Dial(o.Socket)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if _, err := l.Status(t.Context()); err == nil {
			return l, stop
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the process doesn't answer")
	return nil, nil
}

func TestTheDaemonReachesTheProcessThroughItsSocket(t *testing.T) {
	dir := t.TempDir()
	l, stop := start(t, dir)
	st, err := l.Status(t.Context())
	if err != nil || st.PID != os.Getpid() || st.Version != "v1" {
		t.Errorf("it describes itself as %+v, %v", st, err)
	}
	info, err := os.Stat(filepath.Join(dir, "s"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its socket has the mode %v, %v", info.Mode(), err)
	}
	if err := l.Drained(t.Context(), "abc"); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("Drained: %v", err)
	}
	asked := map[string]rhumb.Observing{"shop": {Logs: rhumb.LogLimits{Keep: time.Hour, Size: 1}}}
	if err := l.SetObserving(t.Context(), asked); err != nil {
		t.Errorf("SetObserving: %v", err)
	}
	if _, err := l.LogCounts(t.Context(), rhumb.LogQuery{Grep: "("}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("LogCounts: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "s")); err == nil {
		t.Error("its socket is left behind")
	}
}

func TestAFolderHasOneProcess(t *testing.T) {
	dir := t.TempDir()
	_, stop := start(t, dir)
	o := Options{State: filepath.Join(dir, "observe"), Socket: filepath.Join(dir, "other"),
		Log: slog.New(slog.DiscardHandler)}
	if err := Run(t.Context(), o); rhumb.ErrorCode(err) != rhumb.Locked {
		t.Errorf("the second one ends with %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, stop = start(t, dir); stop() != nil {
		t.Error("the next one doesn't run")
	}
}

func TestAProcessThatIsAwayIsUnavailable(t *testing.T) {
	l := link.Dial(filepath.Join(t.TempDir(), "s"))
	var errs []error
	for _, err := range l.Lines(t.Context(), rhumb.LogQuery{}) {
		errs = append(errs, err)
	}
	_, err := l.LogCounts(t.Context(), rhumb.LogQuery{})
	errs = append(errs, err, l.Drained(t.Context(), "abc"), l.SetObserving(t.Context(), nil))
	for i, err := range errs {
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "keeps logs doesn't answer") {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if len(errs) != 4 {
		t.Errorf("%d errors", len(errs))
	}
}

// serveKeeper serves a keeper until the test ends.
func serveKeeper(t *testing.T, k link.Keeper) *link.Link {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := unixsocket.Listen(socket, unixsocket.Private)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- httpapi.Serve(ctx, ln, link.Handler(k), k.Log) }()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return link.Dial(socket)
}

func TestAForeignErrorStaysInTheLog(t *testing.T) {
	var log bytes.Buffer
	k := link.Keeper{Log: slog.New(slog.NewTextHandler(&log, nil)), Observer: observefake.New(),
		Drained: func(context.Context, string) error { return os.ErrClosed }}
	l := serveKeeper(t, k)
	err := l.Drained(t.Context(), "a/b")
	if rhumb.ErrorCode(err) != rhumb.Internal || strings.Contains(err.Error(), os.ErrClosed.Error()) ||
		!strings.Contains(log.String(), os.ErrClosed.Error()) {
		t.Errorf("got %v, and the log has %q", err, &log)
	}
}
