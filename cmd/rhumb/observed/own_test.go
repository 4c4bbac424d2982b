package observed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/state"
	"rhumb/internal/linelog"
	"rhumb/observe/collect"
	"rhumb/observe/observefake"
)

// away is an engine that doesn't answer.
type away struct{}

func (away) Writers(context.Context) ([]rhumb.LogWriter, error) { return nil, errors.New("away") }

func (away) Watch(context.Context) (<-chan rhumb.Change, error) { return nil, errors.New("away") }

func (away) Logs(context.Context, string, rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(func(rhumb.LogLine, error) bool) {}
}

// running runs parts until stop is called.
func running(t *testing.T, parts ...func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, part := range parts {
		work.Go(func() { part(ctx) })
	}
	stop = func() {
		cancel()
		work.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// collects collects a folder's lines to a store.
func collects(t *testing.T, folder state.Lines, positions string, kept *observefake.Store) (stop func()) {
	t.Helper()
	c := collect.New(collect.Deps{Engine: withOwn{away{}, folder}, Sink: kept, Positions: positions})
	return running(t, func(ctx context.Context) {
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

// writes writes the lines of files to the disk.
func writes(t *testing.T, files ...*linelog.File) (stop func()) {
	t.Helper()
	var parts []func(context.Context)
	for _, f := range files {
		parts = append(parts, func(ctx context.Context) { f.Run(ctx, slog.New(slog.DiscardHandler)) })
	}
	return running(t, parts...)
}

// await returns all kept lines once there are n.
func await(t *testing.T, kept *observefake.Store, n int) []rhumb.LogLine {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		lines := kept.All()
		if len(lines) >= n {
			return lines
		}
		if time.Now().After(late) {
			t.Fatalf("%d lines are kept, want %d", len(lines), n)
		}
	}
}

func TestRhumbsOwnLinesAreKeptWhileTheEngineIsAway(t *testing.T) {
	dir := t.TempDir()
	folder, kept := state.LinesIn(state.Folder(dir)), observefake.New()
	if err := os.Mkdir(string(folder), 0o700); err != nil {
		t.Fatal(err)
	}
	collects(t, folder, filepath.Join(dir, "positions"), kept)
	daemon, events := linelog.New(folder.Daemon(), linelog.Options{}), linelog.New(folder.Events(), linelog.Options{})
	proxy, access := linelog.New(folder.Proxy(), linelog.Options{}), linelog.New(folder.Access(), linelog.Options{})
	writes(t, daemon, events, proxy, access)
	slog.New(slog.NewJSONHandler(daemon, nil)).Warn("not well", "stack", "shop")
	slog.New(slog.NewJSONHandler(proxy, nil)).Info("proxy started")
	fmt.Fprintln(events, `{"level":"info","stack":"shop","service":"db","release":7,"replica":"shop-db.7.1"}`)
	fmt.Fprintln(access, `{"status":502,"level":"error","stack":"blog","service":"web","duration":0.1}`)
	got := map[rhumb.LineKind]rhumb.LogLine{}
	for _, l := range await(t, kept, 4) {
		got[l.Kind] = l
	}
	for kind, want := range map[rhumb.LineKind]rhumb.LogLine{
		rhumb.LineDaemon: {Service: "rhumb", Replica: "daemon", Level: rhumb.LevelWarn},
		rhumb.LineProxy:  {Service: "rhumb", Replica: "proxy", Level: rhumb.LevelInfo},
		rhumb.LineEvent: {Stack: "shop", Service: "db", Replica: "shop-db.7.1", Release: 7,
			Level: rhumb.LevelInfo},
		rhumb.LineAccess: {Stack: "blog", Service: "web", Level: rhumb.LevelError},
	} {
		l := got[kind]
		if l.Stack != want.Stack || l.Service != want.Service || l.Replica != want.Replica || l.Release != want.Release ||
			l.Level != want.Level || l.Container != "rhumb:"+string(kind) || l.Text == "" {
			t.Errorf("the line of kind %s is %+v", kind, l)
		}
	}
	if f := got[rhumb.LineAccess].Fields; f["status"] != "502" || f["stack"] != "" {
		t.Errorf("the access line has the fields %v", f)
	}
	if f := got[rhumb.LineDaemon].Fields; f["stack"] != "shop" {
		t.Errorf("the daemon's line has the fields %v", f)
	}
}

func TestWithoutTheFolderOfLinesThereAreNone(t *testing.T) {
	e := withOwn{away{}, state.Lines(filepath.Join(t.TempDir(), "lines"))}
	if ws, err := e.Writers(t.Context()); len(ws) != 0 || err == nil {
		t.Errorf("writers: %v, %v", ws, err)
	}
}

// TestOwnLinesAreKeptOnceAcrossRotations has two proxies write one file while the collector ends and starts again.
func TestOwnLinesAreKeptOnceAcrossRotations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	folder, kept := state.LinesIn(state.Folder(dir)), observefake.New()
	if err := os.Mkdir(string(folder), 0o700); err != nil {
		t.Fatal(err)
	}
	const lines = 3000
	small := linelog.Options{MaxSize: 4 << 10, MaxFiles: 900} // no file is replaced before it is read
	var proxies sync.WaitGroup
	for p := range 2 {
		f, pauses := linelog.New(folder.Proxy(), small), rand.New(rand.NewPCG(seed, uint64(p+2)))
		writes(t, f)
		proxies.Go(func() {
			for i := range lines {
				fmt.Fprintln(f, p, i)
				if pauses.IntN(40) == 0 {
					time.Sleep(time.Duration(pauses.IntN(30)) * time.Millisecond)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() {
		proxies.Wait()
		close(written)
	}()
	for over := false; !over; {
		stop := collects(t, folder, filepath.Join(dir, "positions"), kept)
		select {
		case <-time.After(time.Duration(rng.IntN(200)) * time.Millisecond):
			stop()
		case <-written:
			over = true
		}
	}
	var next [2]int
	for _, l := range await(t, kept, 2*lines) {
		var p, n int
		if _, err := fmt.Sscan(l.Text, &p, &n); err != nil || n != next[p] {
			t.Fatalf("line %q, want %d of %d: %v", l.Text, next[p], p, err)
		}
		next[p]++
	}
}
