package proxy_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"rhumb/proxy"
)

// words keeps what is written to it, safely for concurrent use.
type words struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// TestInvalidStatusesAreTheReplicasFailure sends status lines that no server should send.
func TestInvalidStatusesAreTheReplicasFailure(t *testing.T) {
	var log words
	var line string
	e := tcp(t, "odd", func(c net.Conn) {
		c.Read(make([]byte, 32<<10))
		io.WriteString(c, line+"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	p, fs := fronts(t, proxy.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, e)
	for _, c := range []struct{ line, want string }{
		{"HTTP/1.1 000 Zero", "502"}, {"HTTP/1.1 001 One", "502"}, {"HTTP/1.1 099 Low", "502"}, {"HTTP/1.1 +99 Sign",
			"502"}, {"HTTP/1.1 -00 Sign", "502"},
		{"HTTP/1.1 1000 High", "502"}, {"HTTP/1.1 20 Short", "502"}, {"HTTP/1.1 2x0 Letter", "502"}, {"HTTP/1.1 ",
			"502"}, {"nonsense", "502"},
		{"HTTP/1.1 101 Unasked", "502"}, {"HTTP/1.1 101 Unasked\r\nConnection: upgrade\r\nUpgrade: websocket", "502"},
		{"HTTP/1.1 200", "200"}, {"HTTP/1.1 299 Odd", "299"}, {"HTTP/1.1 600 High", "600"}, {"HTTP/1.1 999 Highest",
			"999"},
	} {
		line = c.line
		for _, f := range fs {
			if a := f.say(t, "GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(a,
				"HTTP/1.1 "+c.want+" ") {
				t.Errorf("%s, %q: answered %q", f.name, c.line, a)
			}
		}
		if status, _ := overHTTP2(fs).ask2(t); status != c.want {
			t.Errorf("HTTP/2, %q: answered %s", c.line, status)
		}
	}
	if strings.Contains(log.String(), "panic") {
		t.Errorf("logged %s", &log)
	}
	if n := open(t, p, "odd"); n != 0 {
		t.Errorf("%d requests are still open", n)
	}
}

// TestInterimAnswersDoNotReachHTTP10 sends statuses of 1xx before the answer.
func TestInterimAnswersDoNotReachHTTP10(t *testing.T) {
	e := tcp(t, "hasty", func(c net.Conn) {
		c.Read(make([]byte, 32<<10))
		for _, status := range []int{100, 102, 103, 199} {
			fmt.Fprintf(c, "HTTP/1.1 %d Early\r\nX-Early: %d\r\n\r\n", status, status)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	_, fs := fronts(t, proxy.Options{}, e)
	for _, f := range fs {
		a := f.say(t, "GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n")
		for _, want := range []string{"HTTP/1.1 102 ", "X-Early: 103\r\n", "HTTP/1.1 199 ", "HTTP/1.1 200 ",
			"\r\n\r\nok"} {
			if !strings.Contains(a, want) {
				t.Errorf("%s: no %q in %q", f.name, want, a)
			}
		}
		if a := f.say(t, "GET / HTTP/1.0\r\nHost: front.test\r\n\r\n"); !strings.HasPrefix(a, "HTTP/1.0 200 ") ||
			strings.Contains(a, "Early") {
			t.Errorf("%s, HTTP/1.0: answered %q", f.name, a)
		}
	}
	if status, _ := overHTTP2(fs).ask2(t); status != "100" {
		t.Errorf("HTTP/2: the first status is %s", status)
	}
}
