package proxy_test

import (
	"strings"
	"testing"

	"rhumb/proxy"
)

// RFC 9112, 2.2: old clients send an empty line after a body.
func TestOneEmptyLineBeforeARequestIsPassedOver(t *testing.T) {
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
