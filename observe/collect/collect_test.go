package collect

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// bench is what a test works on.
type bench struct {
	*testing.T
	engine *enginefake.Engine
	sink   *store
	path   string // of the positions
	left   Left   // nil: none
	stop   func()
	*Collector
}

// setup returns an engine that keeps log files, and a store. No collector runs yet.
func setup(t *testing.T, maxSize int64, maxFile int) *bench {
	t.Helper()
	b := &bench{T: t, engine: enginefake.New(time.Now), sink: newStore(rand.Uint64()),
		path: filepath.Join(t.TempDir(), "positions"), stop: func() {}}
	b.engine.AddImage("app")
	b.engine.KeepLogFiles(t.TempDir(), maxSize, maxFile)
	t.Cleanup(func() { b.stop() })
	return b
}

// collect starts a collector. b.stop ends it as a crash would: without storing its positions.
func (b *bench) collect() {
	b.Collector = New(Deps{Engine: b.engine, Sink: b.sink, Positions: b.path, Left: b.left,
		Log: slog.New(slog.NewTextHandler(b.Output(), nil))})
	c := b.Collector
	b.launch(func(ctx context.Context) error {
		defer c.close()
		return c.run(ctx)
	})
}

func (b *bench) launch(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(ctx); err != nil {
			b.Error(err)
		}
	}()
	b.stop = func() {
		cancel()
		<-ended
		b.stop = func() {}
	}
}

// tail returns what follows a container.
func (b *bench) tail(id string) *tail {
	b.Collector.mu.Lock()
	defer b.Collector.mu.Unlock()
	return b.tails[id]
}

// start starts a replica of a stack.
func (b *bench) start(stack string, slot int) rhumb.Replica {
	b.Helper()
	r, err := b.engine.Start(b.Context(), rhumb.ReplicaSpec{Stack: stack, Service: "web", Release: 3, Slot: slot,
		Container: rhumb.Container{Image: "app"}})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// write writes text as a replica does.
func (b *bench) write(id string, stderr bool, text string) {
	b.Helper()
	if err := b.engine.LogFile(id).Write(time.Now(), stderr, text); err != nil {
		b.Fatal(err)
	}
}

// within waits for something to come true.
func (b *bench) within(what string, done func() bool) {
	b.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			b.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (b *bench) drained(id string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.Drained(ctx, id); err != nil {
		b.Fatal(err)
	}
}

func TestALineIsInTheSinkWithAllThatIsKnownOfIt(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	begun := time.Now()
	b.write(r.ID, true, "level=warn msg=hello\n")
	b.within("the line", func() bool { return len(b.sink.of(r.ID)) == 1 })
	l := b.sink.of(r.ID)[0]
	if l.Stack != "shop" || l.Service != "web" || l.Replica != "shop-web.3.1" || l.Release != 3 || !l.Stderr ||
		l.Text != "level=warn msg=hello" || l.Level != rhumb.LevelWarn || l.Fields["msg"] != "hello" || l.Time.Before(begun) {
		t.Errorf("%+v", l)
	}
}

func TestALineIsInTheSinkWithin200Milliseconds(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "first\n")
	b.within("the first line", func() bool { return b.sink.has(r.ID, "first") })
	slow := 0
	for i := range 20 {
		text := fmt.Sprint("line ", i)
		begun := time.Now()
		b.write(r.ID, false, text+"\n")
		b.within(text, func() bool { return b.sink.has(r.ID, text) })
		if d := time.Since(begun); d > 200*time.Millisecond {
			slow++
			t.Logf("%s: %v", text, d)
		}
	}
	if slow > 5 { // the machine may be busy
		t.Errorf("%d of 20 lines were late", slow)
	}
}

func TestATraceIsOneLine(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, true, "Error: no cart\n    at a.js:1\n    at b.js:2\n")
	b.within("the trace", func() bool { return len(b.sink.of(r.ID)) > 0 })
	if ls := b.sink.of(r.ID); len(ls) != 1 || ls[0].Text != "Error: no cart\n    at a.js:1\n    at b.js:2" ||
		ls[0].Level != rhumb.LevelError {
		t.Errorf("%+v", ls)
	}
}

func TestDrainedWaitsForTheLastLineOfADeadContainer(t *testing.T) {
	b := setup(t, 2000, 3)
	b.collect()
	r := b.start("shop", 1)
	for i := range 100 {
		b.write(r.ID, false, fmt.Sprintf("line %d\n", i))
		if i%10 == 0 {
			b.within("a line", func() bool { return b.sink.has(r.ID, fmt.Sprintf("line %d", i)) })
		}
	}
	b.write(r.ID, false, "no end")
	b.engine.Kill(r.ID, 1)
	b.drained(r.ID)
	if err := b.engine.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	got := b.sink.texts(r.ID, false)
	if len(got) != 101 || got[100] != "no end" {
		t.Errorf("%d lines: %q", len(got), got)
	}
	b.sink.set(func(s *store) {
		if s.synced != len(s.lines) {
			t.Error("they are not on the disk")
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := b.Drained(ctx, "nosuchcontainer"); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("an unknown container: %v", err)
	}
}

func TestDrainedSaysThatNothingIsKept(t *testing.T) {
	b := setup(t, 0, 0)
	b.sink.full = true
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "stuck\n")
	b.engine.Kill(r.ID, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 2 {
		err := b.Drained(ctx, r.ID)
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "no room") {
			t.Errorf("%v", err)
		}
	}
	b.sink.set(func(s *store) { s.full = false })
	b.within("the line", func() bool { return b.sink.has(r.ID, "stuck") })
	b.drained(r.ID)
}

func TestDrainedEndsWithItsContext(t *testing.T) {
	b := setup(t, 0, 0)
	b.sink.full = true
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "stuck\n")
	b.engine.Kill(r.ID, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := b.Drained(ctx, r.ID); rhumb.ErrorCode(err) != rhumb.Timeout {
		t.Errorf("%v", err)
	}
}

func TestLinesSurviveTheRemovalOfTheirContainer(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "first\n")
	b.within("the first line", func() bool { return b.sink.has(r.ID, "first") })
	b.sink.set(func(s *store) { s.full = true })
	for i := range 1000 {
		b.write(r.ID, false, fmt.Sprintf("line %d\n", i))
	}
	b.engine.Kill(r.ID, 1)
	b.engine.Drop(r.ID)
	b.sink.set(func(s *store) { s.full = false })
	b.within("all lines", func() bool { return len(b.sink.texts(r.ID, false)) == 1001 })
	b.within("the position is dropped", func() bool {
		b.list(t.Context())
		_, ok := b.Collector.positions.get(r.ID)
		return !ok
	})
}

func TestAStackThatIsRefusedDoesNotDelayAnother(t *testing.T) {
	b := setup(t, 0, 0)
	b.sink.refused["flood"] = true
	b.collect()
	flood, slow := b.start("flood", 1), b.start("shop", 1)
	for i := range 20000 {
		b.write(flood.ID, false, fmt.Sprintln(i))
	}
	for i := range 20 {
		b.write(slow.ID, false, fmt.Sprintln(i))
		b.within("the slow stack's line", func() bool { return b.sink.has(slow.ID, fmt.Sprint(i)) })
	}
	b.sink.set(func(s *store) { clear(s.refused) })
	b.within("a line of the other", func() bool { return len(b.sink.of(flood.ID)) > 0 })
	b.engine.Kill(flood.ID, 0)
	b.drained(flood.ID)
	b.inOrder(flood.ID, 20000)
}

func TestTheEngineMayGoAwayAndComeBack(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "0\n")
	b.within("the first line", func() bool { return b.sink.has(r.ID, "0") })
	b.engine.Away(true)
	b.write(r.ID, false, "1\n")
	b.within("a line without an engine", func() bool { return b.sink.has(r.ID, "1") })
	b.engine.Away(false)
	other := b.start("shop", 2)
	b.write(other.ID, false, "0\n")
	b.within("a line of a new container", func() bool { return b.sink.has(other.ID, "0") })
	b.inOrder(r.ID, 2)
}

func TestABrokenLineIsKept(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "0\n")
	if err := b.engine.LogFile(r.ID).WriteRaw([]byte("{\"log\":\"cut o\n")); err != nil {
		t.Fatal(err)
	}
	b.write(r.ID, false, "1\n")
	b.within("the lines", func() bool { return b.sink.has(r.ID, "1") })
	if got := b.sink.texts(r.ID, false); len(got) != 3 || got[1] != `{"log":"cut o` {
		t.Errorf("%q", got)
	}
}

func TestFilesArePolledWhereTheyCannotBeWatched(t *testing.T) {
	b := setup(t, 500, 50)
	b.Collector = New(Deps{Engine: b.engine, Sink: b.sink, Positions: b.path})
	b.watch.begin = func() error { return os.ErrPermission }
	b.launch(b.Collector.Run)
	r := b.start("shop", 1)
	for i := range 50 {
		b.write(r.ID, false, fmt.Sprintln(i))
		if i%10 == 0 {
			b.within("a line", func() bool { return b.sink.has(r.ID, fmt.Sprint(i)) })
		}
	}
	b.within("all lines", func() bool { return len(b.sink.texts(r.ID, false)) == 50 })
	b.inOrder(r.ID, 50)
}
