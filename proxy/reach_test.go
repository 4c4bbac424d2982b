package proxy_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rhumb"
	"rhumb/proxy"
	"rhumb/proxy/internal/guardtest"
)

// strictReplica reads what it gets as strictly as can be, and keeps it by the client that the proxy names.
type strictReplica struct {
	rhumb.Endpoint
	mu    sync.Mutex
	seen  map[string]*guardtest.Reading
	fault string // what it could not read
}

var realIP = regexp.MustCompile(`\r\nX-Real-Ip: (.*)\r\n`)

func readStrictly(t testing.TB) *strictReplica {
	r := &strictReplica{seen: map[string]*guardtest.Reading{}}
	r.Endpoint = tcp(t, "strict", func(c net.Conn) {
		var all []byte
		heads, requests := 0, 0
		buf := make([]byte, 64<<10)
		for requests < 50 {
			n, err := c.Read(buf)
			all = append(all, buf[:n]...)
			got := guardtest.Read(string(all))
			r.note(string(all), got, heads, requests)
			for ; requests < len(got.Requests); requests++ {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			heads = len(got.Heads)
			if err != nil || got.Faulty || heads > 0 && strings.Contains(got.Heads[heads-1], "\r\nUpgrade: ") {
				return
			}
		}
	})
	return r
}

// note keeps the new part of a reading.
func (r *strictReplica) note(all string, got guardtest.Reading, heads, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if got.Faulty {
		r.fault = all
	}
	for _, h := range got.Heads[heads:] {
		s := r.of(h)
		s.Heads = append(s.Heads, h)
	}
	for i := requests; i < len(got.Requests); i++ {
		s := r.of(got.Heads[i])
		s.Requests = append(s.Requests, got.Requests[i])
	}
}

// of returns what is kept for the client that a head names.
func (r *strictReplica) of(head string) *guardtest.Reading {
	client := "unknown"
	if m := realIP.FindStringSubmatch(head); m != nil {
		client = m[1]
	}
	if r.seen[client] == nil {
		r.seen[client] = &guardtest.Reading{}
	}
	return r.seen[client]
}

// take returns what came from a client, and what could not be read at all.
func (r *strictReplica) take(client string) (got guardtest.Reading, fault string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.seen[client]; s != nil {
		got = *s
	}
	clear(r.seen)
	return got, r.fault
}

// FuzzNoSecondRequestReachesTheReplica sends any bytes over a socket. The replica must get no request that a strict
// reader doesn't find in them, and none that it finds otherwise.
func FuzzNoSecondRequestReachesTheReplica(f *testing.F) {
	for way := range byte(6) {
		for _, preface := range falsePrefaces {
			f.Add(way, []byte(preface+smuggler))
		}
		for _, c := range smuggled {
			f.Add(way, []byte("POST /outer HTTP/1.1\r\nHost: front.test\r\n"+c.head+"\r\n\r\n"+c.body))
		}
		f.Add(way, []byte("GET /a HTTP/1.1\r\nHost: front.test\r\n\r\nPOST /b HTTP/1.1\r\nHost: front.test\r\n"+
			"Content-Length: 3\r\n\r\nabc"))
		f.Add(way, []byte("POST /b HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"+
			"3;x\r\nabc\r\n0\r\nX: y\r\n\r\n"+hidden))
		f.Add(way, []byte("\r\nOPTIONS * HTTP/1.1\r\nHost: front.test\r\n\r\nGET http://front.test/ HTTP/1.0\r\n"+
			"Upgrade: x\r\n\r\n"+hidden))
		f.Add(way, []byte(http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x17"+
			"\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x0afront.test\x0f\x2d\x015"))
	}
	r := readStrictly(f)
	_, fs := fronts(f, proxy.Options{}, r.Endpoint)
	n := 0
	f.Fuzz(func(t *testing.T, way byte, in []byte) {
		n++
		client := fmt.Sprintf("127.%d.%d.%d", n>>16&0x7f+1, n>>8&0xff, n&0xff)
		sendFrom(t, fs[int(way)%3], client, in, way%2 == 0)
		got, fault := r.take(client)
		if fault != "" {
			t.Fatalf("the replica can't read %q", fault)
		}
		if strings.HasPrefix(string(in), http2.ClientPreface) {
			if most := requestsOfHTTP2(in); len(got.Heads) > most {
				t.Fatalf("of %d requests the replica got %q", most, got.Heads)
			}
			return
		}
		if complaint := unexpected(got, guardtest.Read(string(in))); complaint != "" {
			t.Fatal(complaint)
		}
	})
}

// unexpected returns what a replica got that a strict reader doesn't find in what the client sent, in that order. The
// proxy may have answered some of the requests itself.
func unexpected(got, strict guardtest.Reading) string {
	heads := strict.Heads
	for _, h := range got.Heads {
		method, _, _ := strings.Cut(h, " ")
		at := slices.IndexFunc(heads, func(s string) bool { return strings.HasPrefix(s, method+" ") })
		if at < 0 {
			return fmt.Sprintf("the replica got %q; a strict reader finds %q", got.Heads, strict.Heads)
		}
		heads = heads[at+1:]
	}
	requests := strict.Requests
	for _, q := range got.Requests {
		at := slices.IndexFunc(requests, func(s guardtest.Request) bool {
			return s.Method == q.Method &&
				s.Body == q.Body
		})
		if at < 0 {
			return fmt.Sprintf("the replica got %q; a strict reader finds %q", got.Requests, strict.Requests)
		}
		requests = requests[at+1:]
	}
	return ""
}

// sendFrom sends the bytes from an address of this host, and waits until all of them have been handled: until the
// proxy closes a connection that the client has ended, or is silent for a moment.
func sendFrom(t testing.TB, f front, client string, in []byte, end bool) {
	t.Helper()
	c := f.from(t, client)
	defer c.Close()
	c.Write(in)
	if end {
		c.(interface{ CloseWrite() error }).CloseWrite()
	} else {
		c.SetDeadline(time.Now().Add(30 * time.Millisecond))
	}
	io.Copy(io.Discard, c)
}

// requestsOfHTTP2 returns how many requests begin in the bytes of a client of HTTP/2.
func requestsOfHTTP2(in []byte) (n int) {
	fr := http2.NewFramer(io.Discard, strings.NewReader(string(in[len(http2.ClientPreface):])))
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return n
		}
		if _, ok := frame.(*http2.MetaHeadersFrame); ok {
			n++
		}
	}
}
