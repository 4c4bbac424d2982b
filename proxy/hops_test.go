package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

func TestHopByHopHeadersAreNotPassedOn(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	got := make(chan http.Header, 1)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		h := w.Header()
		h.Set("Connection", "X-Secret")
		h.Set("X-Secret", "1")
		h.Set("Keep-Alive", "timeout=1")
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("X-Kept", "1")
	})))
	answer := say(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Own ,x-own-too\r\n"+
		"Connection: X-Third\r\nX-Own: 1\r\nX-Own-Too: 1\r\nX-Third: 1\r\n"+
		"Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: gzip, trailers\r\n"+
		"X-Kept: 1\r\n\r\n")
	h := <-got
	for _, k := range []string{"Connection", "X-Own", "X-Own-Too", "X-Third", "Keep-Alive", "Proxy-Connection",
		"Proxy-Authorization"} {
		if v, ok := h[k]; ok {
			t.Errorf("%s reached the replica: %q", k, v)
		}
	}
	if h.Get("X-Kept") != "1" || h.Get("Te") != "trailers" && h.Get("Te") != "" {
		t.Errorf("the replica got %v", h)
	}
	for _, k := range []string{"X-Secret", "Keep-Alive", "Proxy-Authenticate"} {
		if strings.Contains(answer, k) {
			t.Errorf("%s reached the client: %q", k, answer)
		}
	}
	if !strings.Contains(answer, "X-Kept: 1\r\n") {
		t.Errorf("%q", answer)
	}
}

// Connection may name any header. It must not remove what the proxy itself says about the client.
func TestConnectionCannotNameTheProxysOwnHeaders(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	r := record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	say(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nConnection: X-Forwarded-For, X-Real-Ip, Host, Content-Length\r\n"+
		"Content-Length: 3\r\n\r\nabc")
	for _, want := range []string{"Host: x\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "X-Real-Ip: 127.0.0.1\r\n",
		"Content-Length: 3\r\n", "\r\n\r\nabc"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("no %q in %q", want, r)
		}
	}
}

func TestTrailersAndChunksPassBothWays(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		b, err := io.ReadAll(r.Body)
		n, _ := w.Write(b)
		if err != nil || len(r.TransferEncoding) != 1 || r.Trailer.Get("X-Asked") != "yes" {
			t.Errorf("%d bytes, %v, %v, %v", n, err, r.TransferEncoding, r.Trailer)
		}
		w.Header().Set("X-Sum", fmt.Sprint(n))
		w.Header().Set(http.TrailerPrefix+"X-Late", "1")
	})))
	body := io.MultiReader(strings.NewReader(strings.Repeat("a", 100_000)), strings.NewReader("b"))
	req, _ := http.NewRequest("POST", "http://"+addr.String(), body)
	req.Trailer = http.Header{"X-Asked": {"yes"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if len(b) != 100_001 || err != nil || resp.Trailer.Get("X-Sum") != "100001" || resp.Trailer.Get("X-Late") != "1" {
		t.Fatalf("%d bytes, %v, %v", len(b), err, resp.Trailer)
	}
}

func TestInterimAnswersPass(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	})))
	var hints []string
	continued := false
	trace := &httptrace.ClientTrace{
		Got100Continue: func() { continued = true },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
			return nil
		},
	}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "POST", "http://"+addr.String(),
		strings.NewReader("words"))
	req.Header.Set("Expect", "100-continue")
	c := http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second, DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if string(b) != "words" || !continued || !strings.Contains(fmt.Sprint(hints), "103 </a.css>; rel=preload") {
		t.Fatalf("%q, continued: %v, hints: %v", b, continued, hints)
	}
}

func TestARefusedExpectationSendsNoBody(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})))
	answer := say(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 413 ") || !strings.Contains(answer, "Connection: close") {
		t.Errorf("%q", answer)
	}
	if answer := say(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n"); !strings.HasPrefix(answer,
		"HTTP/1.1 417 ") {
		t.Errorf("%q", answer)
	}
}

func TestAnswersWithoutBodiesKeepTheConnectionUsable(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "words")
		}
	})))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	answers := bufio.NewReader(c)
	for _, q := range []string{"HEAD /", "GET /204", "GET /304", "HEAD /", "GET /"} {
		method, path, _ := strings.Cut(q, " ")
		fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, path)
		resp, err := http.ReadResponse(answers, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		b, err := io.ReadAll(resp.Body)
		if want := map[string]string{"GET /": "words"}[q]; string(b) != want || err != nil {
			t.Errorf("%s: %q, %v", q, b, err)
		}
		if method == "HEAD" && resp.ContentLength != 5 {
			t.Errorf("%s: length %d", q, resp.ContentLength)
		}
	}
}

func TestHostileHeadersAreBounded(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	r := record(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, r.Endpoint))
	for name, c := range map[string]struct{ head, want string }{
		"one of 1 MB":     {"X: " + strings.Repeat("a", 1<<20), "HTTP/1.1 4"},
		"100,000 of them": {strings.Repeat("X: y\r\n", 100_000) + "Z: z", "HTTP/1.1 4"},
		"a name of 80 KB": {strings.Repeat("a", 80<<10) + ": b", "HTTP/1.1 4"},
		"an endless line": {strings.Repeat("a", 1<<20), "HTTP/1.1 4"},
	} {
		if a := say(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n"+c.head+"\r\n\r\n"); a != "" &&
			!strings.HasPrefix(a, c.want) || strings.Contains(a, "left open") {
			t.Errorf("%s: %.100q", name, a)
		}
	}
	if r.String() != "" {
		t.Errorf("the replica got %.200q", r)
	}
	apply(t, p, one(2, addr, rhumb.HTTP, 0, tcp(t, "endless", func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
		for {
			if _, err := io.WriteString(c, strings.Repeat("a", 64<<10)); err != nil {
				return
			}
		}
	})))
	if code, _ := get(t, "http://"+addr.String()); code != 502 {
		t.Errorf("a replica's endless header: %d", code)
	}
}
