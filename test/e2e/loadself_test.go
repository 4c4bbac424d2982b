package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// echoes is a server that answers as the test application does, and counts what it answers.
type echoes struct {
	*httptest.Server
	broken              atomic.Bool // it cuts connections instead
	good, cut, accepted atomic.Int64
}

func newEchoes(t *testing.T) *echoes {
	e := &echoes{}
	e.Server = httptest.NewServer(http.HandlerFunc(e.answer))
	t.Cleanup(e.Close)
	return e
}

func (e *echoes) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ws":
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		e.accepted.Add(1)
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
	case e.broken.Load():
		e.cut.Add(1)
		panic(http.ErrAbortHandler)
	default:
		e.good.Add(1)
		w.Header().Set("X-Release", "one")
	}
}

// until waits until a counter has reached n.
func until(t *testing.T, c *atomic.Int64, n int64) {
	t.Helper()
	eventually(t, 30*time.Second, "the load goes on", func() error {
		if got := c.Load(); got < n {
			return fmt.Errorf("counted %d, want %d", got, n)
		}
		return nil
	})
}

func TestTheLoadCountsEachRequestOfAGoodServerOnce(t *testing.T) {
	e := newEchoes(t)
	l := startLoad(t, loadPlan{
		urls: []string{e.URL}, rate: 200, slow: e.URL, socket: strings.Replace(e.URL, "http", "ws", 1) + "/ws",
	})
	until(t, &e.good, 100)
	until(t, &e.accepted, 3) // so that the load has noticed the end of the first
	y := l.end()
	if y.failed != 0 || y.sent == 0 || y.releases["one"] != y.sent || y.slow == 0 || y.reconnects == 0 {
		t.Errorf("%v, by release: %v", y, y.releases)
	}
}

func TestTheLoadNoticesEveryConnectionThatIsCut(t *testing.T) {
	e := newEchoes(t)
	l := startLoad(t, loadPlan{urls: []string{e.URL}, rate: 200})
	until(t, &e.good, 20)
	e.broken.Store(true)
	until(t, &e.cut, 40)
	e.broken.Store(false)
	until(t, &e.good, 40)
	y := l.end()
	if y.failed < 20 || y.releases["one"]+y.failed != y.sent {
		t.Errorf("%v, by release: %v", y, y.releases)
	}
}

func TestTheLoadNoticesThatManyRequestsAreLate(t *testing.T) {
	for name, gap := range map[string]bool{"in a gap they may be": true, "otherwise not": false} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				<-stop
				w.Header().Set("X-Release", "one")
			}))
			defer s.Close()
			l := startLoad(t, loadPlan{urls: []string{s.URL}, rate: 40, gap: gap})
			eventually(t, 30*time.Second, "requests are late", func() error {
				l.mu.Lock()
				defer l.mu.Unlock()
				if l.late < 40 {
					return fmt.Errorf("%d are", l.late)
				}
				return nil
			})
			close(stop)
			if y := l.end(); (y.failed == 0) != gap {
				t.Error(y)
			}
		})
	}
}
