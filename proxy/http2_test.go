package proxy_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rhumb"
	"rhumb/proxy"
)

// RFC 9113, 8.2.2. The standard library answers 400.
func TestFieldsOfHTTP1AreStreamErrorsOverHTTP2(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range []front{fs[0], fs[1], overHTTP2(fs)} {
		for _, field := range [][2]string{{"te", "gzip"}, {"te", "trailers, gzip"}, {"connection", "keep-alive"},
			{"connection", "x"}, {"keep-alive", "5"}, {"proxy-connection", "keep-alive"},
			{"transfer-encoding", "chunked"}, {"upgrade", "websocket"}} {
			for _, method := range []string{"GET", "POST"} {
				body := ""
				if method == "POST" {
					body = "words"
				}
				status, _ := f.ask2(t, ":method", method, field[0], field[1], "body", body)
				if status != "PROTOCOL_ERROR" {
					t.Errorf("%s: %s with %s is answered %s", f.name, method, field, status)
				}
			}
		}
		if r.String() != "" {
			t.Errorf("%s: the replica got %q", f.name, r)
		}
	}
	if status, _ := overHTTP2(fs).ask2(t, "te", "trailers"); status != "200" {
		t.Errorf("TE: trailers is answered %s", status)
	}
	if !strings.Contains(r.String(), "\r\nTe: trailers\r\n") {
		t.Errorf("the replica got %q", r)
	}
}

// After a refused request the connection goes on, with the table that both sides know.
func TestAStreamErrorLeavesTheConnectionUsable(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Words"))
	})))
	f, _ := prior(t, addr)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for i, last := range [][2]string{{"x-words", "first"}, {"te", "gzip"}, {"x-words", "first"}} {
		block.Reset()
		for _, kv := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}, last} {
			e.WriteField(hpack.HeaderField{Name: kv[0], Value: kv[1]})
		}
		stream := uint32(2*i + 1)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true,
			EndHeaders: true})
		want := "first"
		if last[0] == "te" {
			want = "PROTOCOL_ERROR"
		}
		if got := end(t, f, stream); got != want {
			t.Errorf("stream %d: %q, want %q", stream, got, want)
		}
	}
}

// end reads up to the end of a stream, and returns the data that came, or the code of the stream's or the connection's
// error.
func end(t *testing.T, f *http2.Framer, stream uint32) (data string) {
	t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			return frame.ErrCode.String()
		case *http2.RSTStreamFrame:
			if frame.StreamID == stream {
				return frame.ErrCode.String()
			}
		case *http2.DataFrame:
			data += string(frame.Data())
			if frame.StreamEnded() {
				return data
			}
		}
	}
}

// RFC 9113, 4.2: a frame with a part of a header block that is too large is an error of the connection. The standard
// library's own limit is a megabyte.
func TestATooLargeFrameOfHeadersEndsTheConnection(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
	f, _ := prior(t, addr)
	h := headers(1)
	for len(h.BlockFragment) <= 16<<10 {
		h.BlockFragment = append(h.BlockFragment, "\x00\x01x\x7f\x81\x01"+strings.Repeat("x", 256)...)
	}
	f.WriteHeaders(h)
	if got := end(t, f, 1); got != "FRAME_SIZE_ERROR" {
		t.Errorf("%s", got)
	}
}

// RFC 9113, 6.5.3: the values of a SETTINGS are taken in their order. The standard library ends the connection.
func TestTheLastOfSeveralWindowSizesCounts(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "words")
	})))
	f, _ := prior(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	f.WriteHeaders(headers(1))
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			t.Fatalf("%v %s", frame.ErrCode, frame.DebugData())
		case *http2.DataFrame:
			if string(frame.Data()) != "w" {
				t.Errorf("%q", frame.Data())
			}
			return
		}
	}
}

// What a client asks for and takes back in the same breath costs no replica anything.
func TestRequestsThatAreTakenBackAtOnceReachNoReplica(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	var reached atomic.Int64
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			reached.Add(1)
		}
		io.WriteString(w, "last")
	})))
	f, c := prior(t, addr)
	var flood bytes.Buffer
	to := http2.NewFramer(&flood, nil)
	const pairs = 90 // in less than one read, and within what is free
	for i := range pairs {
		to.WriteHeaders(headers(uint32(2*i + 1)))
		to.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
	}
	last := headers(2*pairs + 1)
	last.BlockFragment = packed([]string{":method", "GET", ":scheme", "http", ":authority", "x", ":path", "/last"})
	to.WriteHeaders(last)
	c.Write(flood.Bytes())
	if got := end(t, f, 2*pairs+1); got != "last" {
		t.Errorf("%q", got)
	}
	if n := reached.Load(); n > 3 { // where a read ends between the two
		t.Errorf("%d of %d reached the replica", n, pairs)
	}
}

// Closed at once, a client would only come again. So it is read from slowly first.
func TestFloodsOfFramesEndTheirConnection(t *testing.T) {
	p, addr, kinds := start(t, proxy.Options{}), freeAddr(t), frameFloods()
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
	eachOf(len(kinds), func(i int) {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Error(err)
			return
		}
		began := time.Now()
		c.SetDeadline(began.Add(30 * time.Second))
		sendFrames(c, kinds[i].first, strings.Repeat(kinds[i].more, 1000))
		if took := time.Since(began); took < time.Second || took > 20*time.Second {
			t.Errorf("%s: the connection ended after %v", kinds[i].name, took)
		}
	})
	f, _ := prior(t, addr)
	f.WriteHeaders(headers(1))
	if got := end(t, f, 1); got != "a" {
		t.Errorf("the next connection: %q", got)
	}
}
