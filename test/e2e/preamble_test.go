package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// balanced is a stack behind a balancer that names its clients.
const balanced = `services:
  app:
    image: rhumb-test/app:1
    ports:
      - "${RAW}:8000"
      - {target: 8000, published: "${PORT}", app_protocol: http}
    x-rhumb: {routes: [{host: shop.test, port: 8000}], proxy_protocol: accept, ready: {http: /health, port: 8000}}
`

func TestClientsThatABalancerNamesAreSeen(t *testing.T) {
	needDocker(t)
	v := newVisitor(t)
	s := measuredServer(t, "--trusted-proxies", v.own[false].String(), "--accept-proxy-protocol")
	k := newStack(t, s, balanced)
	raw := porttest.Free(t)
	k.env = []string{fmt.Sprintf("RAW=%d", raw)}
	k.must(0, "deploy")
	const preamble = "PROXY TCP4 203.0.113.7 198.51.100.1 4000 80\r\n"
	for _, port := range []int{raw, k.port, s.entry} {
		peer, forwarded, err := v.askBehind(preamble, v.address(false, port))
		seen := peer
		if port != raw {
			seen = forwarded
		}
		if err != nil || seen != "203.0.113.7" {
			t.Errorf("port %d: the client is seen as %q (%v)", port, seen, err)
		}
	}
	if _, _, err := v.askBehind("", v.address(false, k.port)); err == nil {
		t.Error("a trusted peer was answered without its preamble")
	}
	// Others aren't believed: what they send is the request.
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", k.port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := askOn(c, preamble); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("the preamble of another peer gives %v", err)
	}
	k.testified()
}

// testified checks what the doctor says of the stack's ports and of this machine as a client.
func (k *stack) testified() {
	k.t.Helper()
	r := k.s.rhumbEnv(k.dir, nil, "doctor", "client-address", "--data", k.s.data, k.url("/"))
	for _, want := range []string{"the client's address", "the client in X-Forwarded-For and X-Real-IP",
		"connected to the proxy  127.0.0.1", "(not believed: 127.0.0.1 isn't in --trusted-proxies)",
		"the replica gets        X-Forwarded-For: 127.0.0.1"} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			k.t.Errorf("doctor client-address exits with %d, without %q:\n%s", r.code, want, r.out)
		}
	}
	k.t.Log(r.out)
}

// askBehind asks on a connection that begins with a preamble, as a balancer does. It returns what the application saw.
func (v *visitor) askBehind(preamble, addr string) (peer, forwarded string, err error) {
	c, err := v.dial(v.t.Context(), "tcp", addr)
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	return askOn(c, preamble)
}

// askOn asks on a connection, after a preamble.
func askOn(c net.Conn, preamble string) (peer, forwarded string, err error) {
	_ = c.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(c, preamble+"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"); err != nil {
		return "", "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", "", fmt.Errorf("status %d", resp.StatusCode)
	}
	var a struct {
		Remote string
		Header http.Header
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return "", "", err
	}
	peer, _, err = net.SplitHostPort(a.Remote)
	return peer, a.Header.Get("X-Forwarded-For"), err
}
