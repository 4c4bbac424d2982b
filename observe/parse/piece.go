// Package parse reads what containers write: the lines of Docker's json-files, pieces of long lines, stack traces, and
// the level and fields of a line. It does no I/O and has no clock.
package parse

import (
	"bytes"
	"encoding/json"
	"time"
)

// Piece is what one line of a json-file holds: a line, or a part of a long one.
type Piece struct {
	Time   time.Time
	Stderr bool
	Text   []byte // without the line's end; valid until the next call that returned it
	Ended  bool   // the line ends here
	Broken bool   // the file's line could not be read: Text is all of it, and there is no Time
}

// Reader reads lines of json-files. It reuses its memory. The zero value is ready.
type Reader struct {
	text []byte
}

var (
	openLog    = []byte(`{"log":"`)
	openStream = []byte(`,"stream":"`)
	openTime   = []byte(`,"time":"`)
)

// Read reads one line of a json-file, with or without its line end. A line that can't be read is returned as it is, as
// a piece that is Broken.
func (r *Reader) Read(line []byte) Piece {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	if p, ok := r.fast(line); ok {
		return p
	}
	return slow(line)
}

// fast reads a line in the form in which Docker writes it, if it has no attributes.
func (r *Reader) fast(line []byte) (Piece, bool) {
	rest, ok := bytes.CutPrefix(line, openLog)
	if !ok {
		return Piece{}, false
	}
	text, rest, ended, ok := r.logText(rest)
	if !ok {
		return Piece{}, false
	}
	if rest, ok = bytes.CutPrefix(rest, openStream); !ok {
		return Piece{}, false
	}
	stream, rest, ok := bytes.Cut(rest, []byte{'"'})
	if !ok {
		return Piece{}, false
	}
	if rest, ok = bytes.CutPrefix(rest, openTime); !ok || len(rest) < 3 || string(rest[len(rest)-2:]) != `"}` {
		return Piece{}, false
	}
	at, ok := timestamp(rest[:len(rest)-2])
	if !ok {
		return Piece{}, false
	}
	p := piece(at, string(stream) == "stderr", text)
	p.Ended = p.Ended || ended
	return p, true
}

// logText is unquote for the text of a line. Nearly all texts have one escape, their line end: ended says that it was
// left out.
func (r *Reader) logText(s []byte) (text, rest []byte, ended, ok bool) {
	if i := bytes.IndexByte(s, '\\'); i >= 0 && i+2 < len(s) && s[i+1] == 'n' && s[i+2] == '"' &&
		bytes.IndexByte(s[:i], '"') < 0 {
		return s[:i], s[i+3:], true, true
	}
	text, rest, ok = r.unquote(s)
	return text, rest, false, ok
}

// piece cuts the line's end from a text.
func piece(at time.Time, stderr bool, text []byte) Piece {
	p := Piece{Time: at, Stderr: stderr, Text: text}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		p.Ended, p.Text = true, text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			p.Text = text[:n-2]
		}
	}
	return p
}

// unquote reads the rest of a JSON string, after its first quote. The result is a part of s, or of the reader's memory
// if there are escapes. It returns false for an escape that only encoding/json needs to know.
func (r *Reader) unquote(s []byte) (text, rest []byte, ok bool) {
	quote := bytes.IndexByte(s, '"')
	if quote < 0 {
		return nil, nil, false
	}
	first := bytes.IndexByte(s[:quote], '\\')
	if first < 0 {
		return s[:quote], s[quote+1:], true
	}
	buf := r.text[:0]
	for {
		buf = append(buf, s[:first]...)
		if len(s) < first+2 {
			return nil, nil, false
		}
		c, size := escape(s[first+1:])
		if size == 0 {
			return nil, nil, false
		}
		buf = append(buf, c)
		s = s[first+1+size:]
		for first = 0; first < len(s) && s[first] != '"' && s[first] != '\\'; first++ { // they are close to each other
		}
		if first == len(s) {
			return nil, nil, false
		}
		if s[first] == '"' {
			r.text = append(buf, s[:first]...)
			return r.text, s[first+1:], true
		}
	}
}

// escape returns what stands for an escape without its backslash, and its length; 0 if only encoding/json knows it.
func escape(s []byte) (c byte, size int) {
	switch s[0] {
	case '"', '\\', '/':
		return s[0], 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'u':
		if c, ok := short(s[1:]); ok {
			return c, 5
		}
	}
	return 0, 0
}

// short reads four hexadecimal digits that stand for an ASCII character.
func short(s []byte) (byte, bool) {
	if len(s) < 4 || s[0] != '0' || s[1] != '0' || s[2] > '7' {
		return 0, false
	}
	hi, ok1 := hexDigit(s[2])
	lo, ok2 := hexDigit(s[3])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// slow reads a line in any form that is JSON.
func slow(line []byte) Piece {
	var e struct {
		Log    *string   `json:"log"`
		Stream string    `json:"stream"`
		Time   time.Time `json:"time"`
	}
	if json.Unmarshal(line, &e) != nil || e.Time.IsZero() {
		return Piece{Text: line, Ended: true, Broken: true}
	}
	var text []byte // an entry without "log" holds an empty piece
	if e.Log != nil {
		text = []byte(*e.Log)
	}
	return piece(e.Time.UTC(), e.Stream == "stderr", text)
}

// timestamp reads a time as Docker writes it: RFC 3339 in UTC, with nanoseconds whose last zeros are left out.
func timestamp(s []byte) (time.Time, bool) {
	const form = "2006-01-02T15:04:05"
	n := len(s)
	if n < len(form)+1 || n > len(form)+11 || s[n-1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' ||
		s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	ok := true
	num := func(s []byte) int {
		n := 0
		for _, c := range s {
			if c < '0' || c > '9' {
				ok = false
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := num(s[:4]), num(s[5:7]), num(s[8:10])
	hour, minute, second := num(s[11:13]), num(s[14:16]), num(s[17:19])
	nanos := 0
	if frac := s[len(form) : n-1]; len(frac) > 0 {
		if frac[0] != '.' || len(frac) == 1 {
			return time.Time{}, false
		}
		nanos = num(frac[1:])
		for range 10 - len(frac) {
			nanos *= 10
		}
	}
	if !ok || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
