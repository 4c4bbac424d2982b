// Package kernfile reads the small files in which the kernel says how things stand, below /proc and /sys. A file may
// stay open; reading it again costs one call.
package kernfile

import (
	"bytes"
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// maxSize is the largest file that is read, in bytes.
const maxSize = 1 << 20

// File is an open file of the kernel's.
type File struct{ fd int }

// Open opens a file.
func Open(path string) (File, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return File{}, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return File{fd}, nil
	}
}

// Close closes the file.
func (f File) Close() { _ = unix.Close(f.fd) } // it was only read

// Read returns what the file says now. It uses buf's space, and grows it if that doesn't suffice.
func (f File) Read(buf []byte) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, max(4096, len(buf)))...)[:len(buf)]
		}
		n, err := unix.Pread(f.fd, buf[len(buf):cap(buf)], int64(len(buf)))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return buf, os.NewSyscallError("pread", err)
		}
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > maxSize:
			return buf, os.NewSyscallError("pread", unix.EFBIG)
		case len(buf) < cap(buf):
			return buf, nil // the kernel fills the space as far as it can
		}
	}
}

// ReadFile returns what a file says now.
func ReadFile(path string, buf []byte) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return buf[:0], err
	}
	defer f.Close()
	return f.Read(buf)
}

// Number returns the number that text begins with, after spaces: a whole one, or one with a fraction. NaN: it begins
// with none.
func Number(text []byte) float64 {
	text = bytes.TrimLeft(text, " \t")
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	whole, n := digits(text)
	if n == 0 {
		return math.NaN()
	}
	v := float64(whole)
	if text = text[n:]; len(text) > 1 && text[0] == '.' {
		part, n := digits(text[1:])
		v += float64(part) / math.Pow10(n)
	}
	if negative {
		return -v
	}
	return v
}

// digits returns the number that text begins with, and how many digits it has. More than 19 digits are one too many.
func digits(text []byte) (v uint64, n int) {
	for n < len(text) && n < 19 && '0' <= text[n] && text[n] <= '9' {
		v = v*10 + uint64(text[n]-'0')
		n++
	}
	return v, n
}

// Value returns the number after a key and a space or colon, at the beginning of a line. NaN: there is no such line.
func Value(text []byte, key string) float64 {
	for len(text) > 0 {
		line := text
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		if len(line) > len(key) && string(line[:len(key)]) == key && (line[len(key)] == ' ' || line[len(key)] == ':') {
			return Number(line[len(key)+1:])
		}
	}
	return math.NaN()
}
