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

// Ending returns the last lines, as many as a failure card has room for.
func Ending(lines []string) []string { return last(lines, Lines) }

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// How much a deployment's record keeps of its hooks.
const (
	maxHookRuns   = 100
	maxLoudHooks  = 20 // the first ones keep their output; later ones only if they failed
	HookLines     = 100
	maxHookOutput = 16 << 10 // bytes
)

// KeepHook adds a hook to a deployment's record, within the limits of that.
func KeepHook(d *rhumb.Deployment, run rhumb.HookRun) {
	if len(d.Hooks) >= maxHookRuns {
		return
	}
	if len(d.Hooks) >= maxLoudHooks && run.Failed == "" {
		run.Logs = nil
	}
	d.Hooks = append(d.Hooks, run)
}

// Finish records how a hook went that began at began. failed is what Failed returned.
func Finish(run *rhumb.HookRun, out *Tail, began time.Time, failed string) {
	run.At, run.Failed, run.Logs = time.Now(), failed, out.lines()
	run.Took = run.At.Sub(began).Round(time.Millisecond)
}

// Failed describes how a command with a time limit failed; "": it succeeded. ctx is the command's context, whose cause
// is ErrTooLong once the limit has passed.
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

// ErrTooLong is the cause with which a context ends when a command exceeds its time limit.
var ErrTooLong = errors.New("it took too long")

// Tail is an io.Writer that keeps the last lines. It is safe for use by several goroutines.
type Tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write returns no error.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if over := t.b.Len() - maxHookOutput; over > maxHookOutput {
		t.b.Next(over)
	}
	return len(p), nil
}

// lines returns the last lines, at most HookLines.
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

// Line returns a replica's line as a failure card shows it: valid UTF-8, and cut if it is long.
func Line(text string) string {
	if len(text) > lineMax {
		text = text[:lineMax] + "…"
	}
	return strings.ToValidUTF8(text, "?")
}
