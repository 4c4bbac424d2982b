package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rhumb"
	"rhumb/proxy"
)

// front is an address at which a replica is served.
type front struct {
	name string
	port string
	conf *tls.Config // nil: in clear
}

// fronts serves the replica at a port of its own, at a route, and at a route over TLS. The host is "front.test".
func fronts(t testing.TB, o proxy.Options, e rhumb.Endpoint) (*proxy.Proxy, []front) {
	t.Helper()
	o.Certificates = newPocket(t, []string{"front.test"})
	own, plain, over := freeAddr(t), freeAddr(t), freeAddr(t)
	p := start(t, o)
	table := secure(1, plain, over, e, "front.test")
	table.Certificates[0].Plain = true
	table.Listeners = append(table.Listeners, rhumb.Listener{Addr: own, Protocol: rhumb.HTTP, Backend: "b"})
	apply(t, p, table)
	conf := &tls.Config{InsecureSkipVerify: true, ServerName: "front.test", NextProtos: []string{"http/1.1"}}
	return p, []front{{"port", own.String(), nil}, {"route", plain.String(), nil}, {"tls", over.String(), conf}}
}

// overHTTP2 returns the front with TLS for a client that asks for HTTP/2.
func overHTTP2(fs []front) front {
	f := fs[2]
	f.conf = f.conf.Clone()
	f.conf.NextProtos = []string{"h2"}
	return f
}

func (f front) dial(t testing.TB) net.Conn {
	t.Helper()
	return f.from(t, "127.0.0.1")
}

// from dials from another address of this host.
func (f front) from(t testing.TB, client string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
	c, err := d.Dial("tcp", f.port)
	if err != nil {
		t.Fatal(err)
	}
	if f.conf != nil {
		c = tls.Client(c, f.conf)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// say sends the bytes, and returns what comes back until the proxy closes or is silent.
func (f front) say(t testing.TB, words string) string {
	t.Helper()
	return converse(f.dial(t), words)
}

func converse(c net.Conn, words string) string {
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * time.Second))
	io.WriteString(c, words)
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return string(b) + " (left open)"
	}
	return string(b)
}

// ask2 does one request over HTTP/2 and returns the status and body of its answer; the status is the error's code if
// the stream is reset. The fields that a request needs have defaults, and the field "body" is its body, "trailer-…" a
// trailer.
func (f front) ask2(t testing.TB, fields ...string) (status, body string) {
	t.Helper()
	c := f.dial(t)
	io.WriteString(c, http2.ClientPreface)
	fr := http2.NewFramer(c, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	fr.WriteSettings()
	writeRequest(fr, fields)
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return "cut: " + err.Error(), body
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status == "" {
				status = frame.PseudoValue("status")
			}
		case *http2.DataFrame:
			body += string(frame.Data())
		case *http2.RSTStreamFrame:
			return frame.ErrCode.String(), body
		}
		if h := frame.Header(); h.StreamID == 1 && h.Flags.Has(http2.FlagDataEndStream) {
			return status, body
		}
	}
}

func writeRequest(fr *http2.Framer, fields []string) {
	head := []string{":method", "GET", ":scheme", "http", ":authority", "front.test", ":path", "/"}
	var body string
	var rest, trailers []string
	for i := 0; i < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		at := slices.Index(head, name)
		switch trailer, isTrailer := strings.CutPrefix(name, "trailer-"); {
		case isTrailer:
			trailers = append(trailers, trailer, value)
		case name == "body":
			body = value
		case at >= 0 && at%2 == 0:
			head[at+1] = value
		default:
			rest = append(rest, name, value)
		}
	}
	whole := body == "" && trailers == nil
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: packed(append(head, rest...)), EndHeaders: true,
		EndStream: whole})
	if !whole {
		fr.WriteData(1, trailers == nil, []byte(body))
	}
	if trailers != nil {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: packed(trailers), EndHeaders: true,
			EndStream: true})
	}
}

// packed returns names and values encoded as HPACK. The decoder of the server has a table of its own for each
// connection, so that nothing may be indexed here.
func packed(fields []string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true})
	}
	return b.Bytes()
}
