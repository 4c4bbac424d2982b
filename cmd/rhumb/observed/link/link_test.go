package link_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/httpapi"
	"rhumb/observe/observefake"
)

func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, socket
}

func TestKeptLinesArriveThroughTheSocket(t *testing.T) {
	ln, socket := listen(t)
	store := observefake.New()
	line := rhumb.LogLine{Time: time.Now().UTC(), Stack: "shop", Service: "web", Text: "\xff", Level: rhumb.LevelError}
	if _, err := store.Append(t.Context(), []rhumb.LogLine{line, line, line}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	var asked map[string]rhumb.Observing
	observe := func(all map[string]rhumb.Observing) error {
		asked = all
		return nil
	}
	h := link.Handler(link.Keeper{Observer: store, Observe: observe, Log: log})
	go func() { done <- httpapi.Serve(ctx, ln, h, log) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	l := link.Dial(socket)
	counts, err := l.LogCounts(t.Context(), rhumb.LogQuery{Stack: "shop"})
	if err != nil || len(counts) != 1 || counts[0].Lines != 3 || counts[0].Errors != 3 {
		t.Errorf("counts: %+v, %v", counts, err)
	}
	want := map[string]rhumb.Observing{"shop": {Logs: rhumb.LogLimits{Keep: time.Hour, Size: 7},
		Scrapes: map[string]rhumb.Scrape{"web": {Port: 9090, Path: "/metrics", Every: time.Minute}},
		Rules:   []rhumb.AlertRule{{Name: "Slow", Expr: "a > 1", For: time.Minute}}}, "blog": {}}
	if err := l.SetObserving(t.Context(), want); err != nil || !reflect.DeepEqual(asked, want) {
		t.Errorf("asked for is %v, %v", asked, err)
	}
	n := 0
	for got, err := range l.Lines(t.Context(), rhumb.LogQuery{Stack: "shop", LogOptions: rhumb.LogOptions{Follow: true}}) {
		if err != nil || got.Text != line.Text || got.Level != line.Level {
			t.Errorf("got %+v, %v", got, err)
		}
		if n++; n == 2 {
			break
		}
	}
	for _, err := range l.Lines(t.Context(), rhumb.LogQuery{Stack: "nope"}) {
		if rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("of another stack: %v", err)
		}
	}
}

func TestAProcessThatHangsIsUnavailable(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes three seconds")
	}
	_, socket := listen(t) // the kernel accepts the connection, and nothing answers
	began := time.Now()
	for _, err := range link.Dial(socket).Lines(t.Context(), rhumb.LogQuery{}) {
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "no answer within 3s") {
			t.Errorf("got %v", err)
		}
	}
	if took := time.Since(began); took < 3*time.Second || took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
