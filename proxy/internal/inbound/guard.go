package inbound

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/http1"
)

// guard looks over the bytes that a client sends, before the HTTP server reads them. The server is lenient where the
// standard allows it: it takes bare line feeds and folded lines, and forgets a Content-Length beside a
// Transfer-Encoding, so that no handler can see them. The server writes the replica a request of its own, which is
// sound. But another proxy in front of this one may have seen two requests where the server saw one. So the guard
// refuses all that has two readings, with its connection.
//
// To refuse, it replaces the bytes with words that no HTTP server accepts. It is used by one reader at a time.
//
// HTTP/2 is read by the sieve. A connection is one of HTTP/2 only if its very first bytes are the whole preface: a
// server that gets half of the preface takes it for a request of HTTP/1 and goes on.
type guard struct {
	agreed  string // the protocol agreed on in the handshake; "": the first bytes decide
	state   guardState
	preface int    // lines of HTTP/2's preface that came
	max     int    // bytes of a line
	line    []byte // the beginning of a line that hasn't ended
	left    int64  // bytes of the body or chunk still to come
	frame   framing
	heads   int64        // heads that have begun
	refused atomic.Int64 // the request from which on all are refused; 0: none
	pending []byte       // what the reader gets next: the refusal, or the preface
	early   bool         // bytes came before it was known whether a request is under way
	sieve   sieve        // of HTTP/2
}

// framing is what a head says about its body's length.
type framing struct {
	old     bool // HTTP/1.0
	length  bool
	chunked bool
	upgrade bool
	n       int64
}

type guardState int

const (
	atStart     guardState = iota // a request, or one empty line before it
	afterReturn                   // within that empty line
	atRequest                     // the line that begins a request
	atPreface                     // HTTP/2 has begun
	atHeader
	inBody
	atChunk // its size
	inChunk
	afterChunk
	atTrailer
	atUpgrade // what comes next may be HTTP, or not
	foreign   // HTTP/2
)

// refusal ends the line that is being read, if any, and can't be a header, a trailer, or a chunk.
const refusal = "\r\nrefused\r\n\r\n"

// read reads from src, and returns only what may pass.
func (g *guard) read(src io.Reader, p []byte) (int, error) {
	if g.agreed == protocolHTTP2 && g.state != foreign && g.refused.Load() == 0 {
		if err := g.awaitPreface(src); err != nil {
			return 0, err
		}
	}
	for len(g.pending) == 0 {
		if g.state == foreign {
			return g.sieve.read(src, p)
		}
		if g.refused.Load() != 0 {
			return 0, io.EOF
		}
		n, err := src.Read(p)
		n, ok := g.pass(p[:n])
		if !ok {
			g.refused.Store(g.heads)
			g.pending, err = []byte(refusal), nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
	n := copy(p, g.pending)
	g.pending = g.pending[n:]
	return n, nil
}

// Preface is how a client of HTTP/2 begins.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// awaitPreface reads the preface of a client that agreed on HTTP/2. If anything else comes, the connection ends without
// an answer: the client would not understand an answer of HTTP/1.
func (g *guard) awaitPreface(src io.Reader) error {
	for len(g.line) < len(Preface) {
		b := make([]byte, len(Preface)-len(g.line))
		n, err := src.Read(b)
		g.line = append(g.line, b[:n]...)
		if !strings.HasPrefix(Preface, string(g.line)) {
			g.refused.Store(1)
			return io.EOF
		}
		if err != nil && len(g.line) < len(Preface) {
			return err
		}
	}
	g.pending, g.line = g.line, nil
	g.speakHTTP2()
	return nil
}

// speakHTTP2 is called when the whole of the preface has come.
func (g *guard) speakHTTP2() { g.state, g.sieve.max, g.sieve.since = foreign, g.max, time.Now() }

// pass returns how many of the bytes may be passed on, and whether that is all of them. If it isn't, the line that
// follows is refused. It takes an empty line before a request out of b.
func (g *guard) pass(b []byte) (n int, ok bool) {
	for i := 0; i < len(b); {
		switch g.state {
		case foreign:
			g.sieve.put(b[i:])
			return i, true
		case atUpgrade:
			g.early = true
			return len(b), true
		case inBody, inChunk:
			n := min(g.left, int64(len(b)-i))
			i += int(n)
			if g.left -= n; g.left == 0 {
				g.bodyEnds()
			}
		case atStart:
			g.state = atRequest
			if b[i] == '\r' {
				g.state, b = afterReturn, slices.Delete(b, i, i+1)
			}
		case afterReturn:
			if b[i] != '\n' {
				g.heads++
				return i, false
			}
			g.state, b = atRequest, slices.Delete(b, i, i+1)
			g.agreed = protocolHTTP1 // the connection's first bytes have passed
		default:
			n, ok := g.takeBytes(b[i:])
			if !ok {
				return i, false
			}
			i += n
		}
	}
	return len(b), true
}

// takeBytes takes a line, or as much of it as there is, and returns its length.
func (g *guard) takeBytes(b []byte) (int, bool) {
	if g.state == atRequest && len(g.line) == 0 {
		g.heads++
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		g.line = append(g.line, b...)
		return len(b), len(g.line) <= g.max
	}
	line := b[:end]
	if len(g.line) > 0 {
		g.line = append(g.line, line...)
		line = g.line
	}
	line, ok := bytes.CutSuffix(line, []byte("\r"))
	if !ok || len(line) > g.max || hasControl(line) || !g.takeLine(line) {
		return 0, false
	}
	g.line = g.line[:0]
	return end + 1, true
}

func hasControl(line []byte) bool {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

func (g *guard) takeLine(line []byte) bool {
	switch g.state {
	case atRequest:
		return g.takeRequestLine(line)
	case atPreface:
		return g.takePreface(line)
	case atHeader:
		if len(line) == 0 {
			g.headEnds()
			return true
		}
		return g.takeHeader(line)
	case atChunk:
		return g.takeChunkSize(line)
	case afterChunk:
		g.state = atChunk
		return len(line) == 0
	case atTrailer:
		if len(line) == 0 {
			g.requestEnds()
			return true
		}
		name, _, ok := field(line)
		return ok && !http1.FramesBody(name)
	}
	return false
}

func (g *guard) takeRequestLine(line []byte) bool {
	if g.heads == 1 && g.agreed == "" && string(line) == "PRI * HTTP/2.0" {
		g.state = atPreface
		return true
	}
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || !http1.IsToken(method) || len(target) == 0 || bytes.IndexByte(target, '\t') >= 0 {
		return false
	}
	g.state = atHeader
	g.frame = framing{old: string(version) == "HTTP/1.0"}
	return g.frame.old || string(version) == "HTTP/1.1"
}

// takePreface takes the remaining lines of HTTP/2's preface.
func (g *guard) takePreface(line []byte) bool {
	rest := [...]string{"", "SM", ""}
	if string(line) != rest[g.preface] {
		return false
	}
	if g.preface++; g.preface == len(rest) {
		g.speakHTTP2()
	}
	return true
}

func (g *guard) takeHeader(line []byte) bool {
	name, value, ok := field(line)
	if !ok {
		return false
	}
	f := &g.frame
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if f.length || f.chunked || !http1.IsNumber(value) {
			return false
		}
		n, err := strconv.ParseInt(string(value), 10, 64)
		f.length, f.n = true, n
		return err == nil
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.length || f.chunked || f.old {
			return false
		}
		f.chunked = true
		return bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Upgrade")):
		f.upgrade = true
	}
	return !http1.FramesBody(name)
}

// takeChunkSize takes a size in hexadecimal and drops its extensions.
func (g *guard) takeChunkSize(line []byte) bool {
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseUint(string(bytes.TrimRight(size, " \t")), 16, 63)
	if err != nil {
		return false
	}
	g.state, g.left = inChunk, int64(n)
	if n == 0 {
		g.state = atTrailer
	}
	return true
}

func (g *guard) headEnds() {
	switch {
	case g.frame.chunked:
		g.state = atChunk
	case g.frame.n > 0:
		g.state, g.left = inBody, g.frame.n
	default:
		g.requestEnds()
	}
}

func (g *guard) bodyEnds() {
	if g.state == inChunk {
		g.state = afterChunk
		return
	}
	g.requestEnds()
}

func (g *guard) requestEnds() {
	g.state = atStart
	if g.frame.upgrade {
		g.state = atUpgrade
	}
}

// idle is called when the server has answered a request. It reports whether the connection may go on. It may not after
// bytes that weren't checked because they might have been of another protocol.
func (g *guard) idle() bool {
	if g.early {
		g.refused.Store(1) // the server may have them already: no request passes from now on
		return false
	}
	if g.state == atUpgrade {
		g.state = atStart
	}
	return true
}

// field splits a header line.
func field(line []byte) (name, value []byte, ok bool) {
	name, value, ok = bytes.Cut(line, []byte(":"))
	return name, bytes.Trim(value, " "), ok && http1.IsToken(name)
}
