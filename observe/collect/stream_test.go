package collect

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/internal/pause"
)

// bubble returns an engine that keeps no files, and a store, for a test in a bubble. The folder is made outside.
func bubble(t *testing.T, folder string) *bench {
	b := &bench{T: t, engine: enginefake.New(time.Now), sink: newStore(1), path: filepath.Join(folder, "positions"),
		stop: func() {}}
	b.engine.AddImage("app")
	return b
}

func numbers(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprint(i))
	}
	return lines
}

func TestLinesComeThroughTheEngineWhereThereIsNoFile(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bubble(t, folder)
		defer func() { b.stop() }()
		b.engine.Behave("web", "", enginefake.Behaviour{Output: numbers(2000), ExitAfter: time.Minute})
		b.collect()
		r := b.start("shop", 1)
		time.Sleep(time.Second)
		b.inOrder(r.ID, 2000)
		time.Sleep(2 * time.Minute)
		b.drained(r.ID)
		b.inOrder(r.ID, 2000)
		if !b.tail(r.ID).isDone() {
			t.Error("the container has ended, its worker has not")
		}
	})
}

func TestLinesThroughTheEngineAreThereOnceAcrossCrashes(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bubble(t, folder)
		defer func() { b.stop() }()
		b.engine.Behave("web", "", enginefake.Behaviour{Output: numbers(3000)})
		b.sink.shaky = true
		rng := rand.New(rand.NewPCG(1, 1))
		r := b.start("shop", 1)
		for range 5 {
			b.collect()
			time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
			b.stop()
			b.sink.crash()
		}
		b.collect()
		time.Sleep(5 * time.Second)
		b.engine.Away(true) // the stream ends
		time.Sleep(time.Second)
		b.engine.Away(false)
		time.Sleep(5 * time.Second)
		b.inOrder(r.ID, 3000)
	})
}

// slowEngine has one container, which ends after a second. Its lines arrive slowly, and followers learn of its end
// late.
type slowEngine struct {
	began time.Time
	lines int
}

func (e slowEngine) Writers(context.Context) ([]rhumb.LogWriter, error) {
	w := rhumb.LogWriter{Line: rhumb.LogLine{Stack: "shop", Container: "c"}, Started: e.began}
	if time.Since(e.began) > time.Second {
		w.Finished = e.began.Add(time.Second)
	}
	return []rhumb.LogWriter{w}, nil
}

func (slowEngine) Watch(context.Context) (<-chan rhumb.Change, error) {
	return make(chan rhumb.Change), nil
}

func (e slowEngine) Logs(ctx context.Context, _ string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		for i := range e.lines {
			if !pause.For(ctx, 10*time.Millisecond) {
				return
			}
			l := rhumb.LogLine{Time: e.began.Add(time.Duration(i)), Text: fmt.Sprint(i)}
			if !l.Time.Before(o.Since) && !yield(l, nil) {
				return
			}
		}
		if o.Follow {
			pause.For(ctx, time.Hour)
		}
	}
}

func TestADeadContainerIsDrainedOnlyWithItsLastLine(t *testing.T) {
	for name, at := range map[string]time.Duration{"read after its death": 2 * time.Second, "followed": 0} {
		folder := t.TempDir()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bubble(t, folder)
				defer func() { b.stop() }()
				e := slowEngine{time.Now(), 500}
				b.Collector = New(Deps{Engine: e, Sink: b.sink, Positions: b.path})
				time.Sleep(at)
				b.launch(b.Collector.Run)
				time.Sleep(2 * time.Second)
				b.drained("c")
				b.inOrder("c", e.lines)
			})
		})
	}
}

func TestAContainerWhoseDriverCannotBeReadIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := bubble(t, folder)
		defer func() { b.stop() }()
		b.engine.Fail("Logs", -1, rhumb.Errorf(rhumb.Unsupported, "read the logs: its log driver none can't be read"))
		b.collect()
		r := b.start("shop", 1)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.Drained(ctx, r.ID); err != nil || len(b.sink.of(r.ID)) != 0 {
			t.Errorf("%v, %d lines", err, len(b.sink.of(r.ID)))
		}
	})
}

func TestALineThatBeginsBeforeAPositionIsNotTakenApart(t *testing.T) {
	sink := newStore(1)
	at := time.Unix(100, 0)
	sink.lines = []rhumb.LogLine{
		{Container: "a", Time: at, Text: "Error: x\n    at y", Stderr: true},
		{Container: "a", Time: at.Add(1), Text: "same"},
		{Container: "a", Time: at.Add(2), Text: "same"},
		{Container: "b", Time: at.Add(3), Text: "other"},
	}
	k, err := askSink(t.Context(), sink, "a", at)
	if err != nil {
		t.Fatal(err)
	}
	var fresh []string
	for i, l := range []rhumb.LogLine{
		{Time: at, Text: "Error: x", Stderr: true}, {Time: at.Add(1), Text: "same"},
		{Time: at.Add(1), Text: "    at y", Stderr: true}, {Time: at.Add(1), Text: "same"}, {Time: at.Add(2), Text: "same"},
		{Time: at.Add(3), Text: "other"}, {Time: at, Text: "Error: x", Stderr: true},
	} {
		var line = linesOf(l, int64(i))
		if _, ok := k.has(&line); !ok {
			fresh = append(fresh, fmt.Sprint(i))
		}
		if begun, _, ok := k.waits(); ok && begun != 0 {
			t.Errorf("waits for a line that begins at %d", begun)
		}
	}
	if !slices.Equal(fresh, []string{"3", "5", "6"}) {
		t.Errorf("not in the sink: %v", fresh)
	}
	if none, err := askSink(t.Context(), sink, "c", at); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
}
