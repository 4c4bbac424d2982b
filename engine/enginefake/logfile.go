package enginefake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// pieceSize is where Docker cuts long lines.
const pieceSize = 16 << 10

// LogFile writes lines to a file as Docker's json-file driver does, and rotates it as Docker does. It is safe for
// concurrent use.
type LogFile struct {
	Path    string
	MaxSize int64 // a file of at least this size is rotated before the next write; 0: never
	MaxFile int   // how many files there are at most; below 2: a full file is emptied

	mu   sync.Mutex
	file *os.File
	size int64
}

// entry is a line of the file.
type entry struct {
	Log    string            `json:"log,omitempty"`
	Stream string            `json:"stream,omitempty"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Time   time.Time         `json:"time"`
}

// Write writes text at a time: each line of it, cut where Docker cuts it. A last line without an end stays without.
func (l *LogFile) Write(at time.Time, stderr bool, text string) error {
	stream := "stdout"
	if stderr {
		stream = "stderr"
	}
	for len(text) > 0 {
		piece, rest := text[:min(len(text), pieceSize)], ""
		if i := bytes.IndexByte([]byte(piece), '\n'); i >= 0 {
			piece = piece[:i+1]
		}
		rest = text[len(piece):]
		if err := l.put(entry{Log: piece, Stream: stream, Time: at.UTC()}); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

// put writes one line of the file.
func (l *LogFile) put(e entry) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(true) // as Docker does
	if err := enc.Encode(e); err != nil {
		return err
	}
	return l.WriteRaw(b.Bytes())
}

// WriteRaw writes bytes to the file as they are.
func (l *LogFile) WriteRaw(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		if err := l.open(os.O_APPEND); err != nil {
			return err
		}
	}
	if l.MaxSize > 0 && l.size >= l.MaxSize {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(b)
	l.size += int64(n)
	return err
}

// Rotate rotates the file now.
func (l *LogFile) Rotate() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rotate()
}

func (l *LogFile) rotate() error {
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return err
		}
	}
	if l.MaxFile < 2 {
		return l.open(os.O_TRUNC)
	}
	if err := gone(os.Remove(l.name(l.MaxFile - 1))); err != nil {
		return err
	}
	for i := l.MaxFile - 1; i > 0; i-- {
		if err := gone(os.Rename(l.name(i-1), l.name(i))); err != nil {
			return err
		}
	}
	return l.open(os.O_TRUNC)
}

// name returns the name of the file that was rotated i times.
func (l *LogFile) name(i int) string {
	if i == 0 {
		return l.Path
	}
	return fmt.Sprintf("%s.%d", l.Path, i)
}

func (l *LogFile) open(how int) error {
	f, err := os.OpenFile(l.Path, os.O_CREATE|os.O_WRONLY|how, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Close closes the file. The next write opens it again.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// gone returns err unless it says that there is no such file.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
