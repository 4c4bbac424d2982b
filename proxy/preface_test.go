package proxy_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"rhumb/proxy"
)

// falsePrefaces begin like HTTP/2 and go on differently. None of them may turn the guard off.
var falsePrefaces = []string{
	"PRI * HTTP/2.0\r\nHost: front.test\r\n\r\n",
	"PRI * HTTP/2.0\r\nX: y\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n",
	"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM \r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\nX: y\r\n\r\n",
	"PRI * HTTP/2.0\n\nSM\n\n",
	"PRI * HTTP/2.0\r\n\r\n\r\nSM\r\n\r\n",
	"PRI * HTTP/1.1\r\nHost: front.test\r\n\r\n",
	"PRI /a HTTP/1.1\r\nHost: front.test\r\n\r\n",
	"PRI * HTTP/1.0\r\n\r\n",
}

// smuggler hides a second request behind both lengths.
const smuggler = "POST /bad HTTP/1.1\r\nHost: front.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" +
	"0\r\n\r\n" + hidden

func TestNoRequestLineTurnsTheGuardOff(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range fs {
		for _, preface := range falsePrefaces {
			refused(t, f.name+" "+preface, f.say(t, preface+smuggler), r)
			refused(t, f.name+" "+preface+" in two pieces", sayInPieces(t, f, preface, smuggler), r)
		}
	}
	if r.String() != "" {
		t.Errorf("the replica got %q", r)
	}
}

// sayInPieces sends the second piece once the proxy has read the first.
func sayInPieces(t testing.TB, f front, first, second string) string {
	t.Helper()
	c := f.dial(t)
	c.Write([]byte(first))
	eventually(t, "the first piece is read", func() bool { return unread(t, c) == 0 })
	return converse(c, second)
}

// unread returns how many bytes of a connection over IPv4 wait for the process at its other end.
func unread(t testing.TB, c net.Conn) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	port := func(a net.Addr) string { return fmt.Sprintf(":%04X", a.(*net.TCPAddr).Port) }
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if strings.HasSuffix(f[1], port(c.RemoteAddr())) && strings.HasSuffix(f[2], port(c.LocalAddr())) {
			_, err := fmt.Sscanf(f[4][strings.IndexByte(f[4], ':')+1:], "%x", &n)
			if err != nil {
				t.Error(err)
			}
		}
	}
	return n
}

func TestTheMethodOfThePrefaceIsRefusedOverHTTP2(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range []front{fs[0], fs[1], overHTTP2(fs)} {
		if status, _ := f.ask2(t, ":method", "PRI", ":path", "/"); status != "400" {
			t.Errorf("%s: answered %s", f.name, status)
		}
	}
	if r.String() != "" {
		t.Errorf("the replica got %q", r)
	}
}

// On a connection over TLS only the protocol of the handshake is served.
func TestTheAgreedProtocolIsUsed(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	h2 := overHTTP2(fs)
	for _, words := range []string{"GET / HTTP/1.1\r\nHost: front.test\r\n\r\n", "INVALID CONNECTION PREFACE\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "P\r\n",
		"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", "PRI * HTTP/2.0\r\nHost: front.test\r\n\r\n" + smuggler} {
		if a := h2.say(t, words); a != "" {
			t.Errorf("HTTP/2 was agreed on, and %q is answered %q", words, a)
		}
		if a := sayInPieces(t, h2, words[:3], words[3:]); a != "" {
			t.Errorf("HTTP/2 was agreed on, and %q in two pieces is answered %q", words, a)
		}
	}
	refused(t, "HTTP/1.1 was agreed on", fs[2].say(t, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), r)
	if r.String() != "" {
		t.Errorf("the replica got %q", r)
	}
	if status, _ := h2.ask2(t, ":path", "/right"); status != "200" || !strings.Contains(r.String(), "GET /right ") {
		t.Errorf("HTTP/2 as agreed is answered %s; the replica got %q", status, r)
	}
}

// A client that agreed on nothing may still begin with HTTP/2: the preface is unmistakable.
func TestWithoutAnAgreementThePrefaceDecides(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	f := fs[2]
	f.conf = f.conf.Clone()
	f.conf.NextProtos = nil
	if status, _ := f.ask2(t, ":path", "/two"); status != "200" {
		t.Errorf("HTTP/2 is answered %s", status)
	}
	if a := f.say(t, "GET /one HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(a,
		"HTTP/1.1 200 ") {
		t.Errorf("HTTP/1.1 is answered %q", a)
	}
}
