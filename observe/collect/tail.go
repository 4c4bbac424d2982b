package collect

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/observe"
	"rhumb/observe/parse"
)

// margin is how long a line may take from its time stamp to where it is read.
const margin = 20 * time.Millisecond

// quiet is how long nothing must come before lines are complete whatever their times say: clocks may step.
const quiet = 200 * time.Millisecond

// tail follows one container. Its worker is the goroutine of run.
type tail struct {
	id     string
	stack  string
	file   string // "": the lines come through the engine
	engine Engine
	sink   observe.Sink
	log    *slog.Logger
	watch  *watch
	begin  position // where an earlier process got to; the zero position: nowhere
	begun  time.Time
	in     intake
	reader parse.Reader
	trail  *trail

	*standing
}

func newTail(c *Collector, w rhumb.LogWriter) *tail {
	begin, _ := c.positions.get(w.Line.Container)
	s := newStanding(begin)
	t := &tail{id: w.Line.Container, stack: w.Line.Stack, file: w.File, engine: c.engine, sink: c.sink, log: c.log,
		watch: c.watch, begin: begin, begun: w.Started, standing: s,
		in: intake{sink: c.sink, log: c.log, line: w.Line, size: &c.unsaved, refused: s.refuse}}
	t.trail = &trail{path: w.File, log: c.log, lost: func(n int64) {
		c.sink.Drop(w.Line.Stack, w.Line.Service, w.Line.Release, n)
	}}
	return t
}

// run carries the container's lines to the sink until they have ended or ctx does.
func (t *tail) run(ctx context.Context) {
	ended := false
	if t.file == "" {
		ended = t.readEngine(ctx)
	} else {
		ended = t.readFile(ctx)
	}
	if !ended {
		return
	}
	t.keepLast()
	t.trail.close()
	t.in = intake{}
	t.end()
}

// readFile reads the container's file. It returns true once the container has ended and all of it is in the sink.
func (t *tail) readFile(ctx context.Context) bool {
	stop, polled := t.watchFolder()
	defer stop()
	if opened, gone := t.openFile(ctx); !opened {
		return gone
	}
	fresh := time.Now() // when something was read last
	for {
		finished, asked := t.state()
		begun := time.Now()
		data, at, err := t.trail.next(finished)
		switch {
		case err != nil:
			t.log.Warn("log file can't be read, trying again", "path", t.file, "err", err)
			pause.For(ctx, retryMost)
		case len(data) > 0:
			fresh = begun
			t.parse(data, at)
		default:
			t.complete(finished, asked, begun, begun.Sub(fresh) > quiet)
		}
		if !t.in.deliver(ctx) || ctx.Err() != nil {
			return false
		}
		t.ack(t.in.safe(t.trail.here()))
		if len(data) > 0 || err != nil {
			continue
		}
		t.answer(asked)
		if finished {
			return true
		}
		t.wait(ctx, polled)
	}
}

// watchFolder wakes the worker when the file changes, until stop is called. polled says that it can't.
func (t *tail) watchFolder() (stop func(), polled bool) {
	folder := filepath.Dir(t.file)
	changed := func(rotated bool) {
		if rotated {
			t.trail.look()
		}
		t.poke()
	}
	stop, err := t.watch.add(folder, &changed)
	if err != nil {
		t.log.Debug("folder can't be watched, polling it", "path", folder, "err", err)
		return func() {}, true
	}
	return stop, false
}

// openFile opens the file at the position of an earlier process, and asks the sink what it has behind it. It waits for
// a file that isn't there yet. If it returns false, gone says that the container has ended without one.
func (t *tail) openFile(ctx context.Context) (opened, gone bool) {
	for {
		finished, _ := t.state()
		found, err := t.trail.open(t.begin)
		if err == nil {
			if !found && !t.begin.Time.IsZero() {
				t.in.before = t.begin.Time.Add(-slack)
			}
			return t.ask(ctx), false
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.log.Warn("log file can't be opened, trying again", "path", t.file, "err", err)
		} else if finished {
			return false, true
		}
		t.pauseOrWake(ctx, time.Second)
		if ctx.Err() != nil {
			return false, false
		}
	}
}

// ask asks the sink which lines it has that may come. It returns false if ctx ended before the sink has answered.
func (t *tail) ask(ctx context.Context) bool {
	from := t.begin.Time // zero: all lines of the container
	if !from.IsZero() {
		from = from.Add(-slack)
	}
	t.in.last = t.begin.Time
	t.in.lines.SetLast(t.begin.Time)
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		known, err := askSink(ctx, t.sink, t.id, from)
		if err == nil {
			t.in.known = known
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		t.log.Warn("the log store doesn't say which lines it has, trying again", "container", t.id, "err", err)
		pause.For(ctx, wait)
	}
}

// parse takes in lines of the file.
func (t *tail) parse(data []byte, at place) {
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n') + 1
		if n == 0 {
			n = len(data)
		}
		t.in.piece(t.reader.Read(data[:n]), at)
		at += int64(n)
		data = data[n:]
	}
}

// complete completes lines at the end of the file, which was reached by a look that began at a time.
func (t *tail) complete(finished bool, asked int, begun time.Time, quiet bool) {
	switch {
	case finished:
		t.in.flushAll()
	case quiet || t.asks(asked):
		t.in.flushTraces()
	default:
		t.in.flush(begun.Add(-margin))
	}
}

// wait waits until there may be more to read, or a line that is held is complete.
func (t *tail) wait(ctx context.Context, polled bool) {
	d := time.Hour
	if until, ok := t.in.traces.Deadline(); ok {
		d = min(max(time.Until(until)+margin+time.Millisecond, time.Millisecond), quiet+time.Millisecond)
	}
	if polled {
		d = min(d, pollEvery)
	}
	t.pauseOrWake(ctx, d)
}

func (t *tail) pauseOrWake(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-t.wake:
	case <-timer.C:
	}
}

// grown reports whether a container whose lines had all been read has written more.
func (t *tail) grown(w rhumb.LogWriter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.done {
		return false
	}
	if w.Finished.IsZero() {
		return true
	}
	if t.file == "" {
		return w.Finished.After(t.last.Time.Add(time.Second)) && w.Started.After(t.begun)
	}
	info, err := os.Stat(w.File)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Size() > 0 && (st.Ino != t.last.Inode || info.Size() != t.last.Offset)
}

// position returns how far the lines are in the sink; false if that hasn't changed since the last call.
func (t *tail) position() (position, bool) {
	t.mu.Lock()
	if !t.moved {
		t.mu.Unlock()
		return position{}, false
	}
	t.moved = false
	if t.done || t.file == "" {
		defer t.mu.Unlock()
		return t.last, true
	}
	at, since := t.acked, t.since
	t.mu.Unlock()
	p, ok := t.trail.position(at)
	p.Time = since
	return p, ok
}

// keepLast keeps the last position, before the files are closed.
func (t *tail) keepLast() {
	if t.file == "" {
		return
	}
	t.mu.Lock()
	at, since := t.acked, t.since
	t.mu.Unlock()
	p, ok := t.trail.position(at)
	if !ok {
		return
	}
	p.Time = since
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.moved = p, true
}
