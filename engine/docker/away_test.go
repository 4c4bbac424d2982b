package docker_test

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/engine/docker"
)

// cord is a socket between a test and the engine that can be cut.
type cord struct {
	path  string
	l     net.Listener
	mu    sync.Mutex
	conns []net.Conn
	asked func(request []byte) // called with each piece of a request before the engine gets it; may be nil
	wg    sync.WaitGroup
}

func newCord(t *testing.T) *cord {
	t.Helper()
	c := &cord{path: filepath.Join(t.TempDir(), "engine.sock")}
	var err error
	if c.l, err = net.Listen("unix", c.path); err != nil {
		t.Fatal(err)
	}
	c.wg.Go(func() {
		for {
			near, err := c.l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", "/var/run/docker.sock")
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, near, far)
			c.mu.Unlock()
			c.wg.Go(func() { _, _ = io.Copy(c.hearing(far), near); far.Close() })
			c.wg.Go(func() { _, _ = io.Copy(near, far); near.Close() })
		}
	})
	t.Cleanup(c.cut)
	return c
}

// hear sets the function that is called with requests from now on.
func (c *cord) hear(asked func(request []byte)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = asked
}

// hearing returns a writer to the engine that calls asked before each write.
func (c *cord) hearing(far net.Conn) io.Writer {
	return writer(func(b []byte) (int, error) {
		c.mu.Lock()
		asked := c.asked
		c.mu.Unlock()
		if asked != nil {
			asked(b)
		}
		return far.Write(b)
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// cut closes all connections and accepts no more.
func (c *cord) cut() {
	c.l.Close()
	c.mu.Lock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

func TestAnEngineThatGoesAwayEndsItsWatchesAndStreams(t *testing.T) {
	direct := need(t)
	r := start(t, direct, spec(t, stackName(t), "web", 1, "print", "one", "sleep", "1h"))
	c := newCord(t)
	e, err := docker.New(docker.Options{Host: "unix://" + c.path})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	changes, err := e.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	logs := make(chan error, 1)
	go func() {
		var last error
		for l, err := range e.Logs(t.Context(), r.ID, rhumb.LogOptions{Follow: true}) {
			if last = err; l.Text == "one" {
				go c.cut()
			}
		}
		logs <- last
	}()
	within(t, 10*time.Second, "the watch has ended", func() bool {
		select {
		case _, ok := <-changes:
			return !ok
		default:
			return false
		}
	})
	if err := <-logs; rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("logs end with %v", err)
	}
	if _, err := e.Replicas(t.Context(), ""); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("a call says %v", err)
	}
}
