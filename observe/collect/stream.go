package collect

import (
	"context"
	"time"

	"rhumb"
	"rhumb/observe/parse"
)

// read is a line that the engine returned, or its error.
type read struct {
	line rhumb.LogLine
	err  error
}

// readEngine reads the container's lines through the engine, for drivers whose files rhumb can't read. It returns true
// once the container has ended and all of it is in the sink.
func (t *tail) readEngine(ctx context.Context) bool {
	for {
		finished, asked := t.state()
		if !t.ask(ctx) {
			return false
		}
		ended, readable := t.readOnce(ctx, finished)
		if !readable {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if finished && ended {
			return true
		}
		if dead, _ := t.state(); dead && !finished {
			continue // all that is left is read without following
		}
		if ended {
			t.answer(asked)
		}
		t.pauseOrWake(ctx, retryEngine)
	}
}

// readOnce reads from the last line on: up to now if the container has finished, and on until it ends otherwise. ended
// says that the engine has returned all lines, readable that it can return them at all.
func (t *tail) readOnce(ctx context.Context, finished bool) (ended, readable bool) {
	ctx, cancel := context.WithCancel(ctx)
	lines := make(chan read, 256)
	o := rhumb.LogOptions{Follow: !finished, Since: t.begin.Time}
	if !o.Since.IsZero() {
		o.Since = o.Since.Add(-slack)
	}
	defer func() {
		cancel()
		for range lines { // its sender ends
		}
	}()
	go func() {
		defer close(lines)
		for l, err := range t.engine.Logs(ctx, t.id, o) {
			select {
			case lines <- read{l, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return t.take(ctx, lines, finished)
}

// take takes in lines until there are no more. While it follows a container, it also ends soon after the container did:
// the engine may say so late.
func (t *tail) take(ctx context.Context, lines <-chan read, finished bool) (ended, readable bool) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for at := int64(1); ; {
		_, asked := t.state()
		r, some, open := t.receive(ctx, lines, timer)
		dead, _ := t.state()
		switch {
		case !open || r.err != nil || !some && dead && !finished:
			t.in.flushAll()
		case !some:
			t.complete(false, asked, time.Now(), false)
		default:
			t.in.add(parse.Line{LogLine: bare(r.line), At: at})
			if at++; len(lines) > 0 && len(t.in.out) < cap(lines) {
				continue
			}
		}
		if !t.deliverLines(ctx, at) {
			return false, true
		}
		switch {
		case r.err != nil:
			return t.failed(ctx, r.err)
		case !open:
			return true, true
		case !some && dead && !finished:
			return false, true
		case !some && !finished:
			t.answer(asked) // lines may still be under way, but only of a container that goes on
		}
	}
}

// receive waits for a line, for the time at which one that is held is complete, or for a call of Drained. open is false
// if there are no more lines.
func (t *tail) receive(ctx context.Context, lines <-chan read, timer *time.Timer) (r read, some, open bool) {
	d := time.Hour
	if until, ok := t.in.traces.Deadline(); ok {
		d = max(time.Until(until)+margin+time.Millisecond, time.Millisecond)
	}
	timer.Reset(d)
	select {
	case r, open = <-lines:
		return r, open, open
	case <-timer.C:
	case <-t.wake:
	case <-ctx.Done():
	}
	return read{}, false, true
}

// bare returns a line with nothing but what the container wrote.
func bare(l rhumb.LogLine) rhumb.LogLine {
	return rhumb.LogLine{Time: l.Time.UTC(), Stderr: l.Stderr, Text: l.Text}
}

// failed says how reading has ended with an error.
func (t *tail) failed(ctx context.Context, err error) (ended, readable bool) {
	switch rhumb.ErrorCode(err) {
	case rhumb.Unsupported:
		t.log.Info("the log driver of a container can't be read", "container", t.id, "err", err)
		return true, false
	case rhumb.NotFound:
		return true, false
	}
	if ctx.Err() == nil {
		t.log.Warn("the lines of a container can't be read, trying again", "container", t.id, "err", err)
	}
	return false, true
}

// deliverLines appends what is complete to the sink, and records how far the lines are in it.
func (t *tail) deliverLines(ctx context.Context, at int64) bool {
	if !t.in.deliver(ctx) || ctx.Err() != nil {
		return false
	}
	_, since := t.in.safe(at)
	t.begin.Time = since
	t.mu.Lock()
	defer t.mu.Unlock()
	if !since.Equal(t.last.Time) {
		t.last.Time, t.moved = since, true
	}
	return true
}
