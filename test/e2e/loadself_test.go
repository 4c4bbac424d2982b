package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// echoServer answers as the test application does, unless broken says otherwise.
func echoServer(broken *atomic.Bool) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/ws":
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			for n := 0; ; n++ {
				kind, data, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, data) != nil {
					return
				}
				if n == 3 {
					_ = c.Close(websocket.StatusGoingAway, "stopping")
					return
				}
			}
		case broken.Load():
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("X-Release", "one")
		}
	}))
}

func TestTheLoadCountsEachRequestOfAGoodServerOnce(t *testing.T) {
	var broken atomic.Bool
	server := echoServer(&broken)
	defer server.Close()
	l := startLoad(t, loadPlan{
		urls: []string{server.URL}, rate: 200, slow: server.URL, socket: strings.Replace(server.URL, "http", "ws", 1) + "/ws",
	})
	time.Sleep(time.Second)
	y := l.end()
	if y.failed != 0 || y.sent < 100 || y.releases["one"] != y.sent || y.slow == 0 || y.reconnects == 0 {
		t.Errorf("%v, by release: %v", y, y.releases)
	}
}

func TestTheLoadNoticesEveryConnectionThatIsCut(t *testing.T) {
	var broken atomic.Bool
	server := echoServer(&broken)
	defer server.Close()
	l := startLoad(t, loadPlan{urls: []string{server.URL}, rate: 200})
	time.Sleep(300 * time.Millisecond)
	broken.Store(true)
	time.Sleep(300 * time.Millisecond)
	broken.Store(false)
	time.Sleep(300 * time.Millisecond)
	y := l.end()
	if y.failed < 20 || y.releases["one"]+y.failed != y.sent {
		t.Errorf("%v, by release: %v", y, y.releases)
	}
}
