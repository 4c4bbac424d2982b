package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// siteStack is nginx with files of its own, as people serve them, behind a route and at a port of TCP.
var siteStack = `
services:
  site:
    image: rhumb-test/hops:1
    environment: {V: "${V:-1}"}
    deploy: {replicas: 3}
    ports: ["${PORT}:80"]
` + nginx(`types { text/html html; text/css css; application/octet-stream bin; }
          server {
            listen 80; root /tmp/site;
            location = /who { return 200 $$hostname; }
          }`) + `    x-rhumb:
      sticky: true
      ready: {http: /who, port: 80}
      http: {compress: true, pages: {"404": ./404.html, replace: true}}
      routes:
        - {host: site.test, port: 80}
        - {host: site.test, path: /static, port: 80, strip: true}
`

func TestNginxKeepsItsCachesBehindRoutesWithOptions(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	css := strings.Repeat("a { color: red } ", 500)
	files := "mkdir -p /tmp/site; printf '%s' '" + css + "' >/tmp/site/a.css; head -c 5000 /dev/zero >/tmp/site/a.bin; " +
		"touch -d '2026-01-01' /tmp/site/*\n        exec nginx"
	k := newStack(t, s, strings.Replace(siteStack, "exec nginx", files, 1))
	k.write("404.html", "<h1>not here</h1>")
	k.must(0, "deploy")

	r, body := k.asked("site.test", "/static/a.css", "Accept-Encoding: gzip, zstd")
	if text := unpacked(t, r, body); text != css || r.Header.Get("Content-Encoding") != "zstd" {
		t.Errorf("%d %v %.80s", r.StatusCode, r.Header, text)
	}
	etag := r.Header.Get("ETag")
	if !strings.HasPrefix(etag, "W/") || r.Header.Get("Accept-Ranges") != "" {
		t.Errorf("a compressed file has %v", r.Header)
	}
	r, body = k.asked("site.test", "/a.css", "Accept-Encoding: gzip", "If-None-Match: "+etag)
	if r.StatusCode != 304 || body != "" || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("a browser's copy is sent again: %d %v", r.StatusCode, r.Header)
	}
	r, body = k.asked("site.test", "/a.css", "Accept-Encoding: gzip", "Range: bytes=0-9")
	if r.StatusCode != 206 || body != css[:10] || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("a part: %d %v %q", r.StatusCode, r.Header, body)
	}
	r, body = k.asked("site.test", "/a.bin", "Accept-Encoding: gzip")
	if r.StatusCode != 200 || len(body) != 5000 || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("what doesn't compress: %d %v", r.StatusCode, r.Header)
	}
	if r, body = k.asked("site.test", "/nowhere"); r.StatusCode != 404 || body != "<h1>not here</h1>" {
		t.Errorf("nginx's own page: %d %s", r.StatusCode, body)
	}
	k.staysOverTCP()
}

// unpacked returns the body of an answer as it was before it was compressed.
func unpacked(t *testing.T, r *http.Response, body string) string {
	t.Helper()
	var plain io.Reader = strings.NewReader(body)
	var err error
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		plain, err = gzip.NewReader(plain)
	case "zstd":
		plain, err = zstd.NewReader(plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(plain)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// staysOverTCP checks that each address is with one slot, also over a deployment.
func (k *stack) staysOverTCP() {
	k.t.Helper()
	before := k.hostsOfClients()
	k.version("2")
	k.must(0, "deploy")
	after, successor := k.hostsOfClients(), map[string]string{}
	for client, was := range before {
		is := after[client]
		if is == was {
			k.t.Errorf("%s is still with %s", client, was)
		}
		if successor[was] == "" {
			successor[was] = is
		}
		if successor[was] != is {
			k.t.Errorf("%s has left the slot of %s: it is with %s, others with %s", client, was, is, successor[was])
		}
	}
	if len(successor) != 3 {
		k.t.Errorf("%d clients are with %d of 3 replicas", len(before), len(successor))
	}
}

// hostsOfClients returns which replica each of many addresses is with.
func (k *stack) hostsOfClients() map[string]string {
	k.t.Helper()
	hosts := map[string]string{}
	for i := range 24 {
		client := fmt.Sprintf("127.0.2.%d", i+1)
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}, Timeout: 10 * time.Second}
		c := http.Client{Timeout: 20 * time.Second,
			Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.DialContext}}
		for range 3 {
			resp, err := c.Get(k.url("/who"))
			if err != nil {
				k.t.Fatal(err)
			}
			host := bodyOf(resp)
			if was := hosts[client]; was != "" && was != host {
				k.t.Errorf("%s moved from %s to %s", client, was, host)
			}
			hosts[client] = host
		}
	}
	return hosts
}
