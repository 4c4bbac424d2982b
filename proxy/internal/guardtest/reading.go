// Package guardtest is a second reader of HTTP/1, as strict as can be. Tests compare the guard and the proxy with it.
package guardtest

import (
	"regexp"
	"strconv"
	"strings"
)

// Request is a request that was read to its end.
type Request struct{ Method, Target, Body string }

// Reading is what a strict reader makes of a client's bytes.
type Reading struct {
	Requests []Request
	Heads    []string // of these, and of one more whose body hasn't ended
	Faulty   bool     // the reader met something that has more than one reading, and stopped
	Plain    string   // the bytes without the empty lines that may precede requests
}

var (
	requestLine = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+) ([^\x00-\x20\x7f]+) (HTTP/1\\.[01])\r$")
	headerLine  = regexp.MustCompile("^([-!#$%&'*+.^_`|~0-9A-Za-z]+): *([^\x00-\x08\x0a-\x1f\x7f]*)\r$")
	sizeLine    = regexp.MustCompile("^0*([0-9A-Fa-f]{1,16})[ \t]*(;[^\x00-\x08\x0a-\x1f\x7f]*)?\r$")
	framing     = regexp.MustCompile(`(?i)^(content[-_]length|transfer[-_]encoding)$`)
)

// Read reads requests up to the first fault, the first change of protocol, or the end.
func Read(in string) Reading {
	r := reader{left: in}
	for r.request() {
	}
	r.Plain += r.left
	return r.Reading
}

type reader struct {
	Reading
	left string
}

// take moves n bytes from what is left to what was read.
func (r *reader) take(n int) string {
	taken := r.left[:n]
	r.Plain, r.left = r.Plain+taken, r.left[n:]
	return taken
}

// line reads up to the next line feed. It returns false if there is none yet.
func (r *reader) line() (string, bool) {
	end := strings.IndexByte(r.left, '\n')
	if end < 0 {
		return "", false
	}
	line := r.take(end + 1)
	return line[:end], true
}

// match reads a line of the form. It returns nil if the line hasn't ended or is faulty.
func (r *reader) match(form *regexp.Regexp) []string {
	line, ok := r.line()
	parts := form.FindStringSubmatch(line)
	r.Faulty = r.Faulty || ok && parts == nil
	return parts
}

func (r *reader) fault() bool {
	r.Faulty = true
	return false
}

// request reads a request, and reports whether another may follow.
func (r *reader) request() bool {
	if strings.HasPrefix(r.left, "\r") {
		if r.left = r.left[1:]; r.left != "" && r.left[0] != '\n' {
			return r.fault()
		}
		r.left = strings.TrimPrefix(r.left, "\n")
	}
	began := len(r.Plain)
	first := r.match(requestLine)
	if first == nil {
		return false
	}
	h := head{old: first[3] == "HTTP/1.0"}
	for !strings.HasPrefix(r.left, "\r\n") {
		field := r.match(headerLine)
		if field == nil {
			return false
		}
		if !h.field(strings.ToLower(field[1]), strings.TrimRight(field[2], " ")) {
			return r.fault()
		}
	}
	r.take(2)
	r.Heads = append(r.Heads, r.Plain[began:])
	body, ok := r.body(h.chunked, h.n)
	if ok {
		r.Requests = append(r.Requests, Request{first[1], first[2], body})
	}
	return ok && !h.upgrade
}

// head is what a request's header says about what follows it.
type head struct {
	old, length, chunked, upgrade bool
	n                             int64
}

// field takes a line of a header, and reports whether the header still has one reading.
func (h *head) field(name, value string) bool {
	switch {
	case name == "upgrade":
		h.upgrade = true
	case !framing.MatchString(name):
	case h.length || h.chunked:
		return false
	case name == "content-length":
		var err error
		h.n, err = strconv.ParseInt(value, 10, 64)
		h.length = true
		return err == nil && !strings.ContainsAny(value, "+-")
	case name == "transfer-encoding" && strings.EqualFold(value, "chunked") && !h.old:
		h.chunked = true
	default:
		return false
	}
	return true
}

// body reads a body. It returns false if the body hasn't ended or is faulty.
func (r *reader) body(chunked bool, n int64) (body string, ok bool) {
	if !chunked {
		if n > int64(len(r.left)) {
			return "", false
		}
		return r.take(int(n)), true
	}
	for {
		size := r.match(sizeLine)
		if size == nil {
			return "", false
		}
		n, err := strconv.ParseUint(size[1], 16, 63)
		switch {
		case err != nil:
			return "", r.fault()
		case n == 0:
			return body, r.trailers()
		case n > uint64(len(r.left)):
			return "", false
		}
		body += r.take(int(n))
		if line, ok := r.line(); !ok || line != "\r" {
			r.Faulty = r.Faulty || ok
			return "", false
		}
	}
}

func (r *reader) trailers() bool {
	for {
		if strings.HasPrefix(r.left, "\r\n") {
			r.take(2)
			return true
		}
		switch h := r.match(headerLine); {
		case h == nil:
			return false
		case framing.MatchString(h[1]):
			return r.fault()
		}
	}
}
