package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"rhumb/proxy"
)

// forged are fields that mean something only in a header, in the spellings that servers take for one another.
var forged = []string{"X-Forwarded-For", "X_Forwarded_For", "x-real-ip", "Forwarded", "X-Forwarded-Host",
	"X-Forwarded-Prefix", "Host", "Authorization", "Cookie", "Content-Type", "Content_Type", "Content-Encoding",
	"Content-Location", "Connection", "Keep-Alive",
	"Proxy-Authorization", "Proxy", "Te", "Upgrade", "Expect", "Range", "If-Match", "Cache-Control"}

func TestHeaderFieldsAreNotPassedAsTrailers(t *testing.T) {
	r := record(t)
	_, fs := fronts(t, proxy.Options{}, r.Endpoint)
	for _, f := range fs {
		lines := ""
		for _, name := range forged {
			lines += name + ": evil\r\n"
		}
		for _, declared := range []string{"Trailer: X-Sum\r\n", "Trailer: X-Sum, " + strings.Join(forged, ",") +
			"\r\n"} {
			a := f.say(t, "POST / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"+
				""+declared+"Transfer-Encoding: chunked\r\n\r\n"+
				"3\r\nabc\r\n0\r\nX-Sum: right\r\n"+lines+"X-Undeclared: evil\r\n\r\n")
			if !strings.HasPrefix(a, "HTTP/1.1 200 ") {
				t.Errorf("%s: answered %q", f.name, a)
			}
		}
	}
	h2 := overHTTP2(fs)
	for _, name := range []string{"x-forwarded-for", "x_real_ip", "cookie", "forwarded", "x-undeclared"} {
		declared := "x-sum, " + name
		if name == "x-undeclared" {
			declared = "x-sum"
		}
		if status, _ := h2.ask2(t, ":method", "POST", "trailer", declared, "body", "abc", "trailer-x-sum", "right",
			"trailer-"+name, "evil"); status != "200" {
			t.Errorf("%s over HTTP/2: answered %s", name, status)
		}
	}
	eventually(t, "the bodies end", func() bool { return strings.Count(r.String(), "\r\n0\r\n") == 11 })
	got := r.String()
	if strings.Contains(got, "evil") || strings.Count(got, "\r\nTrailer: X-Sum\r\n") != 11 ||
		strings.Count(got, "\r\n0\r\nX-Sum: right\r\n\r\n") != 11 {
		t.Errorf("the replica got %q", got)
	}
}

// A checksum of what was sent is known only at its end.
func TestOtherTrailersPass(t *testing.T) {
	got := make(chan http.Header, 10)
	_, fs := fronts(t, proxy.Options{}, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 100)
		for err := error(nil); err == nil; _, err = r.Body.Read(buf) {
		}
		got <- r.Trailer
	}))
	for _, f := range fs {
		f.say(t, "POST / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n"+
			"Trailer: Content-Digest, x-amz-checksum-crc32\r\nTrailer: Grpc-Status\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Digest: sha-256=:YQ==:\r\n"+
			"x-amz-checksum-crc32: AA==\r\nGrpc-Status: 0\r\n\r\n")
	}
	overHTTP2(fs).ask2(t, ":method", "POST", "trailer", "content-digest, x-amz-checksum-crc32, grpc-status", "body",
		"x",
		"trailer-content-digest", "sha-256=:YQ==:", "trailer-x-amz-checksum-crc32", "AA==", "trailer-grpc-status", "0")
	for range 4 {
		h := <-got
		if h.Get("Content-Digest") != "sha-256=:YQ==:" || h.Get("X-Amz-Checksum-Crc32") != "AA==" ||
			h.Get("Grpc-Status") != "0" {
			t.Errorf("the replica got %v", h)
		}
	}
}
