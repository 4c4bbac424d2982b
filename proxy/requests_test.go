package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"rhumb/proxy"
)

// RFC 9112, 2.2: old clients send an empty line after a body.
func TestOneEmptyLineBeforeARequestIsSkipped(t *testing.T) {
	_, fs := fronts(t, proxy.Options{}, record(t).Endpoint)
	get := "GET /a HTTP/1.1\r\nHost: front.test\r\n\r\n"
	post := "POST /b HTTP/1.1\r\nHost: front.test\r\nContent-Length: 2\r\n\r\nxy\r\n"
	last := "GET /c HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"
	for _, f := range fs {
		for _, a := range []string{f.say(t, "\r\n"+get+"\r\n"+post+last), sayInPieces(t, f, "\r", "\n"+get+post+last),
			sayInPieces(t, f, "\r\n"+get+"\r\n"+post[:len(post)-1], post[len(post)-1:]+last)} {
			if strings.Count(a, "HTTP/1.1 200 ") != 3 || strings.Count(a, "HTTP/1.1 ") != 3 {
				t.Errorf("%s: answered %q", f.name, a)
			}
		}
	}
	r := record(t)
	_, fs = fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range fs {
		for _, bad := range []string{"\r\n\r\n", "\n", "\r", "\r\r\n", " \r\n", "\r\n\n", "\r\n\r"} {
			refused(t, f.name, f.say(t, bad+hidden), r)
		}
		refused(t, f.name, f.say(t, "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+hidden), r)
	}
}

// TestInvalidURIsAndHostsAreRefused sends first lines and hosts that servers read in different ways.
func TestInvalidURIsAndHostsAreRefused(t *testing.T) {
	r := record(t)
	p, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range fs {
		for _, target := range []string{"raw.test:80", "http:x", "http:/x", "http:///x", "https:x", "ftp://front.test/",
			"javascript:x", "*", "x"} {
			refused(t, f.name+" "+target, f.say(t, "GET "+target+" HTTP/1.1\r\nHost: front.test\r\n\r\n"+hidden), r)
		}
		refused(t, f.name, f.say(t, "OPTIONS *x HTTP/1.1\r\nHost: front.test\r\n\r\n"+hidden), r)
		for _, host := range []string{"[front.test]evil", "[front.test]", "front.test:evil", "front.test:80:80",
			"front.test:-1", "::1", "[::1", "[::1]x", "[::1]:x",
			"front.test]", "[127.0.0.1]", ":80", "front.test, evil.test:80:80"} {
			refused(t, f.name+" "+host, f.say(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"+hidden), r)
		}
	}
	for _, f := range []front{fs[0], fs[1], overHTTP2(fs)} {
		for _, fields := range [][]string{{":method", "GET /x HTTP/1.1"}, {":method", "G(T"}, {":path", "*"},
			{":path", "raw.test:80"}, {":path", "http:x"},
			{":path", "http://front.test/"}, {":path", "/?x HTTP/1.1"}, {":path", "/x y"}, {":authority",
				"front.test:evil"}, {":authority", "[front.test]evil"},
			{":authority", "front test"}, {":authority", "a@front.test"}, {":authority", "front.test/x"}, {":authority",
				"fr\u00f6nt.test"},
			{"content-length", "5", "content-length", "6", ":method", "POST", "body", "abcde"}, {"content-length",
				"5, 5", ":method", "POST", "body", "abcde"},
			{"content-length", "+5", ":method", "POST", "body", "abcde"}} {
			if status, _ := f.ask2(t, fields...); status != "400" && status != "PROTOCOL_ERROR" {
				t.Errorf("%s over HTTP/2: %q is answered %s", f.name, fields, status)
			}
		}
	}
	if r.String() != "" {
		t.Errorf("the replica got %q", r)
	}
	st, err := p.Status(t.Context())
	if s := st.Backends["b"].Releases[1]; err != nil || s.Served+s.Errors != 0 {
		t.Errorf("invalid requests count for the release: %+v, %v", s, err)
	}
}

func TestValidURIsAndHostsReachTheReplica(t *testing.T) {
	for _, c := range []struct{ line, host, want string }{
		{"GET http://front.test/abs?q", "front.test", "GET /abs?q HTTP/1.1\r\nHost: front.test\r\n"},
		{"GET HTTPS://front.test", "other.test", "GET / HTTP/1.1\r\nHost: front.test\r\n"},
		{"GET http://front.test?q", "front.test", "GET /?q HTTP/1.1\r\nHost: front.test\r\n"},
		{"GET //double//slash/../x", "FRONT.test.:80", "GET //double//slash/../x HTTP/1.1\r\nHost: FRONT.test.:80\r\n"},
		{"GET /?a=b", "front.test:", "GET /?a=b HTTP/1.1\r\nHost: front.test:\r\n"},
		{"X-OWN /", "front.test", "X-OWN / HTTP/1.1\r\nHost: front.test\r\n"},
		{"OPTIONS /", "front.test", "OPTIONS / HTTP/1.1\r\nHost: front.test\r\n"},
		{"GET /%7B{|}", "front.test", "GET /%7B%7B%7C%7D HTTP/1.1\r\nHost: front.test\r\n"},
	} {
		r := record(t)
		_, fs := fronts(t, proxy.Options{}, r.Endpoint)
		for _, f := range fs {
			a := f.say(t, c.line+" HTTP/1.1\r\nHost: "+c.host+"\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(a, "HTTP/1.1 200 ") || !strings.HasSuffix(a, "\r\n\r\nok") {
				t.Errorf("%s, %s: answered %q", f.name, c.line, a)
			}
		}
		if n := strings.Count(r.String(), c.want); n != len(fs) {
			t.Errorf("%s: %d of %d requests are right in %q", c.line, n, len(fs), r)
		}
	}
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, host := range []string{"[::1]", "[::1]:80", "[fe80::1%25eth0]:8080", "under_score.test", "127.0.0.1:80"} {
		if a := fs[0].say(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(a,
			"HTTP/1.1 200 ") {
			t.Errorf("%s: answered %q", host, a)
		}
	}
}

// TestOptionsOfTheProxyItselfAreCounted sends a request that is answered before any route is looked at, and then one
// that is refused: it must count as the one that the guard refused.
func TestOptionsOfTheProxyItselfAreCounted(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range fs {
		a := f.say(t, "OPTIONS * HTTP/1.1\r\nHost: front.test\r\n\r\n"+smuggler)
		if !strings.HasPrefix(a, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n") || strings.Count(a, "HTTP/1.1 ") != 2 ||
			!strings.Contains(a, "HTTP/1.1 400 ") {
			t.Errorf("%s: answered %q", f.name, a)
		}
	}
	if status, _ := overHTTP2(fs).ask2(t, ":method", "OPTIONS", ":path", "*"); status != "200" {
		t.Errorf("HTTP/2: answered %s", status)
	}
	if r.String() != "" {
		t.Errorf("the replica got %q", r)
	}
}

// A replica that gets its own address as Host would redirect its clients there.
func TestARequestWithoutAHostGetsTheCalledAddress(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, head := range []string{"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"} {
		fs[0].say(t, head)
	}
	got := r.String()
	for _, want := range []string{"\r\nHost: " + fs[0].port + "\r\n", "\r\nX-Forwarded-Host: " + fs[0].port + "\r\n"} {
		if n := strings.Count(got, want); n != 3 {
			t.Errorf("%q occurs %d times in %q", want, n, got)
		}
	}
}

// TestAnUnreadableBodyIsAnswered sends what the standard allows and the server refuses in the middle of a
// body.
func TestAnUnreadableBodyIsAnswered(t *testing.T) {
	_, fs := fronts(t, proxy.Options{}, web(t, "a", big))
	for name, body := range map[string]string{
		"a size of 17 digits":  "00000000000000003\r\nabc\r\n0\r\n\r\n",
		"a long extension":     "3;" + strings.Repeat("x", 5000) + "\r\nabc\r\n0\r\n\r\n",
		"many trailers":        "3\r\nabc\r\n0\r\n" + strings.Repeat("X: y\r\n", 3000) + "\r\n",
		"many long extensions": strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\na\r\n", 20) + "0\r\n\r\n",
	} {
		for _, f := range fs {
			a := f.say(t, "POST / HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
			if !strings.HasPrefix(a, "HTTP/1.1 400 ") || strings.Count(a, "HTTP/1.1 ") != 1 ||
				strings.Contains(a, "left open") {
				t.Errorf("%s, %s: answered %q", f.name, name, a)
			}
		}
	}
}

// TestEarlyBytesFollowAnUpgrade sends bytes of the new protocol right behind the request for it.
func TestEarlyBytesFollowAnUpgrade(t *testing.T) {
	_, fs := fronts(t, proxy.Options{}, tcp(t, "a", upgrading))
	for _, f := range fs {
		for _, early := range []string{"EARLY", strings.Repeat("early", 10_000)} {
			ask := "GET / HTTP/1.1\r\nHost: front.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
			for _, a := range []string{f.say(t, ask+early+"LATER"), sayInPieces(t, f, ask+early, "LATER"),
				sayInPieces(t, f, ask+early[:1], early[1:]+"LATER")} {
				_, got, _ := strings.Cut(a, "\r\n\r\n")
				if want := fmt.Sprintf("%d bytes, the last LATER", len(early)+5); !strings.HasPrefix(a,
					"HTTP/1.1 101 ") || got != want {
					t.Errorf("%s: answered %.200q, not %q", f.name, a, want)
				}
			}
		}
		a := f.say(t, "GET / HTTP/1.0\r\nHost: front.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
		if strings.Contains(a, " 101 ") {
			t.Errorf("%s, HTTP/1.0: answered %q", f.name, a)
		}
	}
}

// upgrading is a replica that changes the protocol when asked, and then answers with what it got.
func upgrading(c net.Conn) {
	r := bufio.NewReader(c)
	req, err := http.ReadRequest(r)
	if err != nil || req.Header.Get("Upgrade") == "" {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
		return
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
	got := make([]byte, 0, 64<<10)
	for !bytes.HasSuffix(got, []byte("LATER")) {
		n, err := r.Read(got[len(got):cap(got)])
		if got = got[:len(got)+n]; err != nil {
			return
		}
	}
	fmt.Fprintf(c, "%d bytes, the last LATER", len(got))
}

// TestAFaultyConnectionLogsNoWarning sends invalid frames. Any client could fill the log with warnings.
func TestAFaultyConnectionLogsNoWarning(t *testing.T) {
	var log words
	_, fs := fronts(t, proxy.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, web(t, "a", nil))
	before := log.String()
	for _, f := range []front{fs[0], overHTTP2(fs)} {
		f.say(t, http2.ClientPreface+strings.Repeat("\x00", 9)) // DATA without a stream
		f.say(t, "GET / HTTP/9.9\r\n\r\n")
	}
	if after := log.String(); after != before {
		t.Errorf("logged %s", after[len(before):])
	}
}

// TestAClientThatEndsItsSideGetsItsAnswer ends the client's side right behind the request, as "nc -N" does.
func TestAClientThatEndsItsSideGetsItsAnswer(t *testing.T) {
	var ended atomic.Pointer[chan struct{}] // closed once the client has ended its side
	_, fs := fronts(t, proxy.Options{}, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		<-*ended.Load()
		fmt.Fprintf(w, "%s %s.", r.URL.Path, b)
	}))
	for _, f := range fs {
		for words, want := range map[string]string{
			"GET /a HTTP/1.1\r\nHost: front.test\r\n\r\n":                                                     "/a .",
			"GET /a HTTP/1.0\r\nHost: front.test\r\n\r\n":                                                     "/a .",
			"POST /b HTTP/1.1\r\nHost: front.test\r\nContent-Length: 3\r\n\r\nabc":                            "/b abc.",
			"POST /c HTTP/1.1\r\nHost: front.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n": "/c abc.",
			"GET /d HTTP/1.1\r\nHost: front.test\r\n\r\nGET /e HTTP/1.1\r\nHost: front.test\r\n\r\n":          "/d ./e .",
		} {
			a := endingItsSide(t, f, words, &ended)
			got := ""
			for answer := range strings.SplitSeq(a, "HTTP/1.") {
				_, body, _ := strings.Cut(answer, "\r\n\r\n")
				got += body
			}
			if got != want {
				t.Errorf("%s, %.10s: answered %q", f.name, words, a)
			}
		}
		half := "POST /b HTTP/1.1\r\nHost: front.test\r\nContent-Length: 3\r\n\r\nab"
		if a := endingItsSide(t, f, half, &ended); a != "" {
			t.Errorf("%s, half a body: answered %q", f.name, a)
		}
	}
}

// endingItsSide sends the words, ends the client's side, and returns what comes back.
func endingItsSide(t testing.TB, f front, words string, ended *atomic.Pointer[chan struct{}]) string {
	t.Helper()
	end := make(chan struct{})
	ended.Store(&end)
	c := f.dial(t)
	defer c.Close()
	io.WriteString(c, words)
	c.(interface{ CloseWrite() error }).CloseWrite()
	close(end)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%s: %v after %q", f.name, err, b)
	}
	return string(b)
}

// A client that has left looks at first like a client that waits.
func TestTheRequestOfAClosedConnectionIsDropped(t *testing.T) {
	p, fs := fronts(t, proxy.Options{Limits: slow}, web(t, "a",
		func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	for _, f := range fs {
		c := f.dial(t)
		io.WriteString(c, "GET /a HTTP/1.1\r\nHost: front.test\r\n\r\n")
		eventually(t, "the replica has the request", func() bool { return open(t, p, "a") == 1 })
		c.Close()
		eventually(t, "the request is dropped", func() bool { return open(t, p, "a") == 0 })
	}
}
