package proxy_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"rhumb"
	"rhumb/proxy"
)

// TestTheClientsAddressIsTheLastUntrustedOne checks what the replica learns when a trusted balancer, 127.0.0.1, sends a
// request.
func TestTheClientsAddressIsTheLastUntrustedOne(t *testing.T) {
	p := start(t, proxy.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("fd00::/8")}})
	addr := freeAddr(t)
	got := make(chan http.Header, 1)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter,
		r *http.Request) {
		got <- r.Header
	})))
	for _, c := range []struct{ name, head, forwardedFor, realIP string }{
		{"its client", "X-Forwarded-For: 6.6.6.6", "6.6.6.6, 127.0.0.1", "6.6.6.6"},
		{"what its client said before", "X-Forwarded-For: 1.1.1.1, 6.6.6.6", "1.1.1.1, 6.6.6.6, 127.0.0.1", "6.6.6.6"},
		{"two lines", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 6.6.6.6", "1.1.1.1, 6.6.6.6, 127.0.0.1", "6.6.6.6"},
		{"a chain", "X-Forwarded-For: 1.1.1.1, 6.6.6.6, 10.0.0.1,10.0.0.2",
			"1.1.1.1, 6.6.6.6, 10.0.0.1,10.0.0.2, 127.0.0.1", "6.6.6.6"},
		{"only trusted ones", "X-Forwarded-For: 10.0.0.9, 10.0.0.1", "10.0.0.9, 10.0.0.1, 127.0.0.1", "10.0.0.9"},
		{"a port", "X-Forwarded-For: 6.6.6.6:1234", "6.6.6.6:1234, 127.0.0.1", "6.6.6.6"},
		{"IPv6", "X-Forwarded-For: 2001:db8::1, fd00::1", "2001:db8::1, fd00::1, 127.0.0.1", "2001:db8::1"},
		{"IPv6 with a port", "X-Forwarded-For: [2001:db8::1]:80, [fd00::1]", "[2001:db8::1]:80, [fd00::1], 127.0.0.1",
			"2001:db8::1"},
		{"IPv4 as IPv6", "X-Forwarded-For: 6.6.6.6, ::ffff:10.0.0.1", "6.6.6.6, ::ffff:10.0.0.1, 127.0.0.1", "6.6.6.6"},
		{"no address", "X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.1", "1.1.1.1, unknown, 10.0.0.1, 127.0.0.1",
			"10.0.0.1"},
		{"nothing", "X: y", "127.0.0.1", "127.0.0.1"},
		{"an empty list", "X-Forwarded-For:", "127.0.0.1", "127.0.0.1"},
		{"X-Real-Ip passed on unseen", "X-Real-Ip: 1.1.1.1\r\nX-Forwarded-For: 6.6.6.6", "6.6.6.6, 127.0.0.1",
			"6.6.6.6"},
		{"X-Real-Ip alone", "X-Real-Ip: 1.1.1.1", "127.0.0.1", "127.0.0.1"},
		{"Forwarded passed on unseen", "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 6.6.6.6", "6.6.6.6, 127.0.0.1",
			"6.6.6.6"},
		{"other spellings passed on unseen",
			"X_Forwarded_For: 1.1.1.1\r\nX_Real_Ip: 1.1.1.1\r\nX-Forwarded-For: 6.6.6.6", "6.6.6.6, 127.0.0.1", "6.6.6.6"},
	} {
		say(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+c.head+"\r\n\r\n")
		h := <-got
		if f, ip := strings.Join(h["X-Forwarded-For"], "|"), strings.Join(h["X-Real-Ip"], "|"); f != c.forwardedFor ||
			ip != c.realIP {
			t.Errorf("%s: X-Forwarded-For %q, not %q; X-Real-Ip %q, not %q", c.name, f, c.forwardedFor, ip, c.realIP)
		}
		for _, k := range []string{"Forwarded", "X_forwarded_for", "X_real_ip"} {
			if h[k] != nil {
				t.Errorf("%s: %s is %q", c.name, k, h[k])
			}
		}
	}
}
