package server

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestARemovalWaitsForTheLastLinesButNotLong(t *testing.T) {
	busy := rhumb.Errorf(rhumb.Timeout, "not collected yet")
	away := rhumb.Errorf(rhumb.Unavailable, "connection refused")
	hangs := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	after := func(d time.Duration, err, then error) func(context.Context) error {
		began := time.Now()
		return func(context.Context) error {
			if time.Since(began) < d {
				return err
			}
			return then
		}
	}
	for name, c := range map[string]struct {
		ask         func() func(context.Context) error
		least, most time.Duration
		rests       bool
	}{
		"kept": {func() func(context.Context) error { return after(0, nil, nil) }, 0, 0, false},
		"unknown": {func() func(context.Context) error {
			return after(0, nil, rhumb.Errorf(rhumb.NotFound, "no such container"))
		}, 0, 0, false},
		"busy for a while": {func() func(context.Context) error { return after(7*time.Second, busy, nil) },
			7 * time.Second, 8 * time.Second, false},
		"started again": {func() func(context.Context) error { return after(2*time.Second, away, nil) },
			2 * time.Second, 3 * time.Second, false},
		"always busy": {func() func(context.Context) error { return after(time.Hour, busy, nil) },
			drainTime, drainTime + time.Second, true},
		"away": {func() func(context.Context) error { return after(time.Hour, away, nil) },
			drainSilent, drainSilent + time.Second, true},
		"hangs": {func() func(context.Context) error { return hangs }, drainSilent, drainSilent + drainAsk, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, ask := 0, c.ask()
				d := &drain{log: slog.New(slog.DiscardHandler), ask: func(ctx context.Context, _ string) error {
					asked++
					return ask(ctx)
				}}
				began := time.Now()
				d.await(t.Context(), "a")
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it waits for %s", took)
				}
				before := asked
				if d.await(t.Context(), "b"); c.rests != (asked == before) {
					t.Errorf("right after that it asked %d times", asked-before)
				}
				time.Sleep(drainRest)
				before = asked
				if d.await(t.Context(), "c"); asked == before {
					t.Error("later it doesn't ask")
				}
			})
		})
	}
}

func TestALogFileThatIsLeftCostsNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		var can error
		d := &drain{log: slog.New(slog.DiscardHandler), keep: func(rhumb.LogWriter) error { return can },
			ask: func(context.Context, string) error {
				asked++
				return nil
			}}
		w := rhumb.LogWriter{Line: rhumb.LogLine{Container: "abc"}}
		if d.last(t.Context(), w); asked != 0 {
			t.Errorf("the process is asked %d times", asked)
		}
		can = rhumb.Errorf(rhumb.Unsupported, "another disk")
		if d.last(t.Context(), w); asked != 1 {
			t.Errorf("without a file, the process is asked %d times", asked)
		}
	})
}
