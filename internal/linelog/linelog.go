// Package linelog writes files of lines in the form of Docker's json-file driver:
//
//	{"log":"text\n","stream":"stdout","time":"2026-11-28T12:00:00.123456789Z"}
//
// So whatever collects the lines of containers collects these too. A full file is renamed to FILE.1, FILE.1 to FILE.2
// and so on. Several processes may write the same file, as a proxy and its successor do.
package linelog

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"rhumb/internal/pause"
)

const (
	flushEvery = 100 * time.Millisecond
	retryEvery = time.Second
	lastTries  = 10 // at the end, while another process has the file locked
	lastPause  = 20 * time.Millisecond
	keptBuffer = 64 << 10 // a buffer that has grown beyond this is released
)

// Options bound the files. The zero value is 4 files of 8 MB, and 4 MB that wait.
type Options struct {
	MaxSize  int64 // a file of at least this size is rotated before the next write
	MaxFiles int   // how many files there are, at least 2
	Waiting  int   // bytes of lines that may wait for the disk; further lines are dropped and counted
}

// File writes lines to a file. It is safe for concurrent use. Nothing is written to the disk before Run.
type File struct {
	disk
	waits int // as Options.Waiting
	wake  chan struct{}

	mu      sync.Mutex
	waiting []byte
	lost    int
}

// New returns the File of a path. Its folder is made with the first line.
func New(path string, o Options) *File {
	if o.MaxSize <= 0 {
		o.MaxSize = 8 << 20
	}
	if o.MaxFiles < 2 {
		o.MaxFiles = 4
	}
	if o.Waiting <= 0 {
		o.Waiting = 4 << 20
	}
	return &File{disk: disk{path: path, maxSize: o.MaxSize, maxFiles: o.MaxFiles}, waits: o.Waiting,
		wake: make(chan struct{}, 1)}
}

// Write takes one line, with or without its line end. It never waits for the disk and never fails: a line for which
// there is no room is dropped. The next line that is written says how many were.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting)+len(line) > f.waits {
		f.lost++
		return len(line), nil
	}
	f.waiting = appendLine(f.waiting, time.Now(), line)
	f.poke()
	return len(line), nil
}

// Run writes lines to the disk until ctx ends, and then those that still wait. It logs when that fails, and when it
// works again.
func (f *File) Run(ctx context.Context, log *slog.Logger) {
	defer f.close()
	failing := false
	for {
		select {
		case <-ctx.Done():
			f.flushLast()
			return
		case <-f.wake:
		}
		err := f.flush()
		wait := flushEvery
		if err != nil {
			wait = retryEvery
			f.poke()
		}
		if err != nil && !failing && !errors.Is(err, errLocked) {
			failing = true
			log.Warn("lines not written, trying again", "path", f.path, "err", err)
		}
		if err == nil && failing {
			failing = false
			log.Info("lines written again", "path", f.path)
		}
		pause.For(ctx, wait)
	}
}

// poke makes Run look again.
func (f *File) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// flush writes all lines that wait.
func (f *File) flush() error {
	for {
		if len(f.pending) == 0 {
			f.take()
		}
		if len(f.pending) == 0 {
			return nil
		}
		if err := f.write(); err != nil {
			return err
		}
	}
}

func (f *File) flushLast() {
	for range lastTries {
		if !errors.Is(f.flush(), errLocked) {
			return
		}
		pause.For(context.Background(), lastPause)
	}
}

// take moves the lines that wait to those that are being written. Lines are lost only behind those, so a line that
// counts the lost ones follows them.
func (f *File) take() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost > 0 {
		f.waiting = appendLine(f.waiting, time.Now(),
			[]byte(`{"level":"WARN","msg":"log lines lost","lines":`+strconv.Itoa(f.lost)+`}`))
		f.lost = 0
	}
	spare := f.buffer[:0]
	if cap(spare) > keptBuffer {
		spare = nil
	}
	f.buffer, f.waiting = f.waiting, spare
	f.pending = f.buffer
}

// appendLine appends a line as it stands in the file.
func appendLine(b []byte, at time.Time, line []byte) []byte {
	b = append(b, `{"log":"`...)
	b = appendQuoted(b, bytes.TrimSuffix(line, []byte{'\n'}))
	b = append(b, `\n","stream":"stdout","time":"`...)
	b = at.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, "\"}\n"...)
}

// appendQuoted appends what stands between the quotes of a JSON string. Bytes that aren't UTF-8 become U+FFFD, as
// Docker writes them.
func appendQuoted(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[done:i]...), `\ufffd`...)
				done = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		}
		i++
		done = i
	}
	return append(b, s[done:]...)
}
