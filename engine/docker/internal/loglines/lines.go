// Package loglines reads lines from Docker's stream of what a container wrote.
package loglines

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"rhumb"
)

const (
	maxLine   = 256 << 10 // longer lines are split
	maxFrame  = 64 << 20  // beyond this the stream is broken, not long
	chunkSize = 16 << 10  // the engine's log drivers cut lines here
	stampSize = len("2006-01-02T15:04:05.000000000Z")
)

// errStopped means that the receiver wants no more.
var errStopped = errors.New("no more lines wanted")

// Read reads the engine's stream of what a container wrote, a terminal's if tty is set, and yields its lines until
// yield wants no more. line holds the fields that all lines share.
func Read(stream io.Reader, tty bool, line rhumb.LogLine, yield func(rhumb.LogLine, error) bool) error {
	l := &lineReader{tty: tty, line: line, yield: yield, in: bufio.NewReaderSize(stream, 64<<10)}
	if err := l.run(); !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// lineReader reads lines from the engine's stream: frames, each with a time and a line or a part of one.
type lineReader struct {
	tty     bool
	line    rhumb.LogLine // what all lines have in common
	yield   func(rhumb.LogLine, error) bool
	in      *bufio.Reader
	pending [2]part // of standard output and of standard error
}

// part is the beginning of an unfinished line.
type part struct {
	at   time.Time
	text []byte
}

func (l *lineReader) run() error {
	read := l.frame
	if l.tty {
		read = l.rawChunk
	}
	for {
		err := read()
		switch {
		case err == nil:
		case errors.Is(err, errStopped):
			return err
		case errors.Is(err, io.EOF):
			return l.flush()
		default:
			return errors.Join(err, l.flush())
		}
	}
}

// frame reads one frame of a multiplexed stream: a byte for the stream, three unused, four of length, the content.
func (l *lineReader) frame() error {
	var header [8]byte
	if _, err := io.ReadFull(l.in, header[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(header[4:])
	if size > maxFrame {
		return fmt.Errorf("log frame of %d bytes", size)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(l.in, content); err != nil {
		return fmt.Errorf("log frame cut off: %w", io.ErrUnexpectedEOF)
	}
	stderr := 0
	if header[0] == 2 {
		stderr = 1
	}
	if header[0] == 3 {
		return fmt.Errorf("log stream: %s", bytes.TrimSpace(content))
	}
	return l.take(stderr, content)
}

// rawChunk reads one piece of a terminal's stream: up to a line's end, or as much as the log driver keeps in one piece.
func (l *lineReader) rawChunk() error {
	buf := make([]byte, 0, 256)
	for len(buf) < stampSize+1+chunkSize {
		b, err := l.in.ReadByte()
		if err != nil {
			if len(buf) > 0 {
				return cmp.Or(l.take(0, buf), err)
			}
			return err
		}
		buf = append(buf, b)
		if b == '\n' {
			break
		}
	}
	return l.take(0, buf)
}

// take takes in one piece: a time, a space, and a line or a part of one.
func (l *lineReader) take(stream int, content []byte) error {
	at, text := cutTime(content)
	p := &l.pending[stream]
	if p.text == nil {
		p.at = at
	}
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte{'\n'})
		p.text = append(p.text, line...)
		for len(p.text) > maxLine {
			if err := l.send(stream, p.at, p.text[:maxLine]); err != nil {
				return err
			}
			p.text = append(p.text[:0], p.text[maxLine:]...)
		}
		if ended {
			if err := l.send(stream, p.at, p.text); err != nil {
				return err
			}
			*p = part{at: at}
		}
		text = rest
	}
	return nil
}

// send yields a line.
func (l *lineReader) send(stream int, at time.Time, text []byte) error {
	line := l.line
	line.Time, line.Stderr = at, stream == 1
	line.Text = strings.ToValidUTF8(string(bytes.TrimSuffix(text, []byte{'\r'})), "\uFFFD")
	if !l.yield(line, nil) {
		return errStopped
	}
	return nil
}

// flush yields the lines that never ended.
func (l *lineReader) flush() error {
	for i := range l.pending {
		if p := &l.pending[i]; len(p.text) > 0 {
			if err := l.send(i, p.at, p.text); err != nil {
				return err
			}
			*p = part{}
		}
	}
	return nil
}

// cutTime splits the time from a piece; a zero time if there is none.
func cutTime(content []byte) (time.Time, []byte) {
	stamp, rest, ok := bytes.Cut(content, []byte{' '})
	if !ok || len(stamp) > len(time.RFC3339Nano) {
		return time.Time{}, content
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return time.Time{}, content
	}
	return at, rest
}
