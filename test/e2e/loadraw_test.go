package e2e

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A connection through a raw TCP port may be closed while it is quiet: nothing says so before, as "Connection: close"
// does. So the client of a raw plan looks whether a kept connection is still open before it asks (closed), and
// repeats a request that crossed the end of its connection, as every client of HTTP does that keeps connections
// (crossed). The tests allow few of the latter: a request that was under way is lost without an answer too. Requests
// on new connections are never repeated.

// errCrossed is a connection that ends before the first byte of an answer.
var errCrossed = errors.New("closed without an answer")

// stayIdle always has a connection open that says nothing, and opens another one when that is closed.
func (l *load) stayIdle(ctx context.Context) {
	defer l.done.Done()
	for ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", l.plan.idle, limit)
		if err != nil {
			l.fail("idle connection: " + clean(err))
			time.Sleep(100 * time.Millisecond)
			continue
		}
		l.note(&l.idles)
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		_, _ = c.Read(make([]byte, 1))
		stop()
		_ = c.Close()
	}
}

// ended reports whether the other side has closed the connection.
func (c *conn) ended() bool {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	ended := false
	err = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return ended || err != nil
}

func TestTheLoadSeesWhichKeptConnectionsAreClosed(t *testing.T) {
	for name, raw := range map[string]bool{"raw": true, "not raw": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Release", "one")
			}))
			server.Config.IdleTimeout = 100 * time.Millisecond // less than the time from one turn of a connection to the next
			server.Start()
			defer server.Close()
			l := startLoad(t, loadPlan{urls: []string{server.URL}, rate: 20, raw: raw, idle: strings.TrimPrefix(server.URL, "http://")})
			time.Sleep(4 * time.Second)
			if y := l.end(); (y.failed == 0) != raw || (y.closed > 0) != raw || y.idles == 0 {
				t.Error(y)
			}
		})
	}
}
