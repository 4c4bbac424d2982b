package card

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// Ending gives as many of the last lines as a failure card holds.
func Ending(lines []string) []string { return last(lines, Lines) }

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// How much of hooks a deployment's record keeps.
const (
	maxHookRuns   = 100
	maxLoudHooks  = 20 // this many with their output; of later ones only failures
	HookLines     = 100
	maxHookOutput = 16 << 10 // bytes
)

// KeepHook adds a hook to a deployment's record.
func KeepHook(d *rhumb.Deployment, run rhumb.HookRun) {
	if len(d.Hooks) >= maxHookRuns {
		return
	}
	if len(d.Hooks) >= maxLoudHooks && run.Failed == "" {
		run.Logs = nil
	}
	d.Hooks = append(d.Hooks, run)
}

// Finish writes down how a hook went.
func Finish(run *rhumb.HookRun, out *Tail, began time.Time, failed string) {
	run.At, run.Failed, run.Logs = time.Now(), failed, out.lines()
	run.Took = run.At.Sub(began).Round(time.Millisecond)
}

// Failed says in which way something has failed; "": it hasn't.
func Failed(ctx context.Context, limit time.Duration, code int, err error) string {
	switch {
	case err != nil && errors.Is(context.Cause(ctx), ErrTooLong):
		return fmt.Sprintf("took longer than %s", limit)
	case err != nil:
		return "could not be run: " + err.Error()
	case code != 0:
		return fmt.Sprintf("exited with %d", code)
	}
	return ""
}

// ErrTooLong is why something was ended that took longer than it may.
var ErrTooLong = errors.New("it took too long")

// Tail keeps the last lines of what is written to it. It may be written to from several goroutines.
type Tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if over := t.b.Len() - maxHookOutput; over > maxHookOutput {
		t.b.Next(over)
	}
	return len(p), nil
}

// lines gives the last lines.
func (t *Tail) lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.b.Bytes()
	if cut := len(b) - maxHookOutput; cut > 0 {
		b = b[cut:]
	}
	text := strings.TrimRight(strings.ToValidUTF8(string(b), "?"), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	return last(lines, HookLines)
}

// Line gives a replica's line as a failure card holds it.
func Line(text string) string {
	if len(text) > lineMax {
		text = text[:lineMax] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
