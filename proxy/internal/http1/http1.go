// Package http1 reads the heads and bodies of HTTP/1.1 as strictly as RFC 9112 allows. It knows no sockets: it reads
// from buffers, and what it returns shares memory with them. A request that has two readings is refused, because a
// proxy in front of this one, or the replica behind it, may take the other one.
package http1

import (
	"bytes"
	"strings"
	"unsafe"
)

// Fault is why a message is refused, with the status of the answer to a client.
type Fault struct {
	Status int
	Why    string
}

func (f *Fault) Error() string { return f.Why }

// Faults of messages. Each is a *Fault.
var (
	ErrLine      = bad("a line doesn't end in CR LF, or it contains a control character")
	ErrEmptyLine = bad("more than one empty line precedes the request")
	ErrFirstLine = bad("the first line isn't a method, a target and a version of HTTP/1")
	ErrTarget    = bad("the target isn't a path, a URL of HTTP, or what its method needs")
	ErrField     = bad("a field isn't a name, a colon and a value")
	ErrHost      = bad("there isn't exactly one valid host")
	ErrFraming   = bad("the length of the body isn't certain")
	ErrChunk     = bad("the body isn't made of chunks")
	ErrTrailer   = bad("a trailer isn't allowed, or they are too long")
	ErrOptions   = bad("the connection has too many options")
	ErrStatus    = bad("the first line isn't a version of HTTP/1 and a status")
	ErrTooLarge  = &Fault{431, "the header is too large"}
	ErrExpect    = &Fault{417, "the expectation is unknown"}
)

func bad(why string) *Fault { return &Fault{400, why} }

const (
	maxFields  = 1000 // of a head
	maxOptions = 64   // of a connection, beside those that every server knows
)

// Lengths of bodies that aren't known from the head.
const (
	Chunked  int64 = -1 // the body comes in chunks
	UntilEnd int64 = -2 // the body of a response ends with its connection
)

// text returns bytes as a string that shares their memory. They must not change while the string is used.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Classes of bytes.
const (
	inToken  = 1 << iota // of a name or a method
	inValue              // of a field's value
	inTarget             // of a request's target
	inPath               // what a path may contain besides escapes (RFC 3986)
)

var classes = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if letter || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			t[i] |= inToken
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[i] |= inValue
		}
		if c > ' ' && c != 0x7f {
			t[i] |= inTarget
		}
		if letter || c != 0 && strings.IndexByte("-._~!$&'()*+,;=:@/[]", c) >= 0 {
			t[i] |= inPath
		}
	}
	return t
}()

// all reports whether each byte is of the class.
func all[T string | []byte](b T, class byte) bool {
	for i := range len(b) {
		if classes[b[i]]&class == 0 {
			return false
		}
	}
	return true
}

// IsToken reports whether b is a token of RFC 9110.
func IsToken[T string | []byte](b T) bool { return len(b) > 0 && all(b, inToken) }

// IsNumber reports whether s is a length as HTTP writes it: digits only.
func IsNumber[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0
}

// number returns the number that digits mean. It returns false if s isn't a number of at most 63 bits.
func number[T string | []byte](s T) (n int64, ok bool) {
	if !IsNumber(s) {
		return 0, false
	}
	for i := range len(s) {
		d := int64(s[i] - '0')
		if n > (1<<63-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// FramesBody reports whether a field says how long a body is, or seems to for servers that take "_" for "-" (CGI,
// WSGI).
func FramesBody[T string | []byte](name T) bool {
	switch len(name) {
	case len("content-length"):
		return same(name, "content-length", true)
	case len("transfer-encoding"):
		return same(name, "transfer-encoding", true)
	}
	return false
}

// same reports whether a name is that one, which is in lower case. With loose, "_" counts as "-".
func same[T string | []byte](name T, lower string, loose bool) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] && !(loose && c == '_' && lower[i] == '-') {
			return false
		}
	}
	return true
}

// lines cuts a head into lines. It goes on where it stopped when more bytes have come.
type lines struct {
	at    int  // where the next line begins
	seen  int  // up to where no line ends that begins at at, so that no byte is looked at for each one that comes
	loose bool // a line may end in LF alone
}

// next returns the next line without its end. It returns nil without an error if the line hasn't ended.
func (l *lines) next(b []byte) ([]byte, error) {
	from := max(l.at, l.seen)
	end := bytes.IndexByte(b[from:], '\n')
	if end < 0 {
		l.seen = len(b)
		return nil, nil
	}
	end += from
	line := b[l.at:end:end]
	l.at, l.seen = end+1, end
	if n := len(line) - 1; n >= 0 && line[n] == '\r' {
		return line[:n:n], nil
	}
	if !l.loose {
		return nil, ErrLine
	}
	return line, nil
}

// trim returns a value without the blanks around it.
func trim[T string | []byte](b T) T {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func blank(c byte) bool { return c == ' ' || c == '\t' }
