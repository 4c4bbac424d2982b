package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// asked is a TCP replica that answers each line with its name, and the line "slow" once slow is closed.
func asked(t *testing.T, name string, slow <-chan struct{}) rhumb.Endpoint {
	return tcp(t, name, func(c net.Conn) {
		for lines := bufio.NewScanner(c); lines.Scan(); {
			switch lines.Text() {
			case "slow":
				<-slow
			case "quit":
				return
			}
			if _, err := io.WriteString(c, name+"\n"); err != nil {
				return
			}
		}
	})
}

// caller is a client of a raw TCP port.
type caller struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func call(t *testing.T, addr string) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &caller{t, conn, bufio.NewReader(conn)}
}

func (c *caller) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) hears(want string) {
	c.t.Helper()
	if got, err := c.r.ReadString('\n'); err != nil || got != want+"\n" {
		c.t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// ends waits until the other side has closed the connection without sending anything.
func (c *caller) ends() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("not closed: %q, %v", b, err)
	}
}

func TestAReplicaThatSpeaksFirstIsGivenTimeWhenItLeaves(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	greet := make(chan struct{})
	var connections atomic.Int64
	greets := tcp(t, "a", func(c net.Conn) {
		if connections.Add(1) == 1 {
			echo("a")(c)
			return
		}
		<-greet
		io.WriteString(c, "a\n")
	})
	apply(t, p, one(1, addr, rhumb.TCP, 0, greets))
	quiet := call(t, addr.String())
	quiet.hears("a")
	c := call(t, addr.String())
	eventually(t, "both connections are open", func() bool { return open(t, p, "a") == 2 })
	apply(t, p, one(2, addr, rhumb.TCP, 0, tcp(t, "b", echo("b"))))
	quiet.ends() // quiet connections are being closed by now
	close(greet)
	c.hears("a")
	c.ends()
}

func busy(t *testing.T, p *proxy.Proxy, replica string) int {
	t.Helper()
	st, err := p.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Busy[replica]
}

func TestAConnectionIsBusyWhileAnAnswerIsDue(t *testing.T) {
	p, addr, slow := start(t, proxy.Options{}), freeAddr(t), make(chan struct{})
	apply(t, p, one(1, addr, rhumb.TCP, 0, asked(t, "a", slow)))
	kept, waits := call(t, addr.String()), call(t, addr.String())
	kept.say("hello")
	kept.hears("a")
	waits.say("slow")
	eventually(t, "two are open, one is busy", func() bool { return open(t, p, "a") == 2 && busy(t, p, "a") == 1 })
	close(slow)
	waits.hears("a")
	eventually(t, "none is busy", func() bool { return open(t, p, "a") == 2 && busy(t, p, "a") == 0 })
}

func TestQuietConnectionsLeaveWithTheLastReplica(t *testing.T) {
	p, addr, slow := start(t, proxy.Options{}), freeAddr(t), make(chan struct{})
	last := asked(t, "a", slow)
	apply(t, p, one(1, addr, rhumb.TCP, 10*time.Second, last))
	silent, kept, waits := call(t, addr.String()), call(t, addr.String()), call(t, addr.String())
	kept.say("hello")
	kept.hears("a")
	waits.say("slow")
	eventually(t, "all are open", func() bool { return open(t, p, "a") == 3 })
	leaving := draining(last)
	leaving.Leave = true
	apply(t, p, one(2, addr, rhumb.TCP, 10*time.Second, leaving))
	silent.ends()
	kept.ends()
	eventually(t, "only the connection that waits for an answer is left",
		func() bool { return open(t, p, "a") == 1 && busy(t, p, "a") == 1 })
	back := call(t, addr.String()) // which is held
	back.say("hello")
	close(slow)
	waits.hears("a")
	waits.ends()
	apply(t, p, one(3, addr, rhumb.TCP, 10*time.Second, asked(t, "b", nil)))
	back.hears("b")
}

func TestAKeptConnectionStaysWhileItsReplicaOnlyDrains(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	a, b := asked(t, "a", nil), asked(t, "b", nil)
	apply(t, p, one(1, addr, rhumb.TCP, 0, a))
	kept := call(t, addr.String())
	kept.say("hello")
	kept.hears("a")
	apply(t, p, one(2, addr, rhumb.TCP, 0, draining(a), b))
	eventually(t, "the connection is quiet", func() bool { return open(t, p, "a") == 1 && busy(t, p, "a") == 0 })
	kept.say("hello")
	kept.hears("a")
	apply(t, p, one(3, addr, rhumb.TCP, 0, b)) // a replica that leaves the table is about to be stopped
	kept.ends()
}

func TestAQuietWebSocketIsNotBusy(t *testing.T) {
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	said := make(chan string)
	it := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, <-said+line)
		}
	})
	apply(t, p, one(1, addr, rhumb.HTTP, 0, it))
	c := call(t, addr.String())
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r")
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", res, err)
	}
	eventually(t, "the connection is quiet", func() bool { return open(t, p, "a") == 1 && busy(t, p, "a") == 0 })
	c.say("hello")
	eventually(t, "an answer is due", func() bool { return busy(t, p, "a") == 1 })
	said <- "a "
	c.hears("a hello")
	eventually(t, "the connection is quiet again", func() bool { return open(t, p, "a") == 1 && busy(t, p, "a") == 0 })
	leaving := draining(it)
	leaving.Leave = true
	apply(t, p, one(2, addr, rhumb.HTTP, 0, leaving))
	c.say("still there?") // the replica says goodbye, not the proxy
	said <- "a "
	c.hears("a still there?")
}

func TestUnreadBytesKeepAConnectionBusy(t *testing.T) {
	var sent atomic.Int64
	p, addr := start(t, proxy.Options{}), freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "a", func(c net.Conn) {
		for range 64 << 4 {
			n, err := c.Write(make([]byte, 64<<10))
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})))
	c := call(t, addr.String())
	if _, err := c.r.ReadByte(); err != nil {
		t.Fatal(err)
	}
	var last int64 // the replica's bytes no longer get through: the client reads no more
	eventually(t, "the connection is stuck", func() bool {
		was := last
		last = sent.Load()
		return was == last && last > 0
	})
	if n := busy(t, p, "a"); n != 1 {
		t.Errorf("bytes wait for the client, and %d of %d connections are busy", n, open(t, p, "a"))
	}
	c.conn.Close()
}

func TestLossesWithAReplicaAreCounted(t *testing.T) {
	lost := func(p *proxy.Proxy) uint64 {
		st, err := p.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var n uint64
		for _, b := range st.Backends {
			n += b.Lost()
		}
		return n
	}
	t.Run("a last message that isn't answered is no loss", func(t *testing.T) {
		p, addr := start(t, proxy.Options{}), freeAddr(t)
		apply(t, p, one(1, addr, rhumb.TCP, 0, asked(t, "a", nil)))
		c := call(t, addr.String())
		c.say("quit")
		c.ends()
		if n := lost(p); n != 0 {
			t.Errorf("%d losses are counted", n)
		}
	})
	t.Run("a connection that a leaving replica cuts", func(t *testing.T) {
		p, addr, die := start(t, proxy.Options{}), freeAddr(t), make(chan struct{})
		got := make(chan struct{})
		it := tcp(t, "a", func(c net.Conn) {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				close(got)
			}
			<-die
		})
		apply(t, p, one(1, addr, rhumb.TCP, time.Second, it))
		c := call(t, addr.String())
		c.say("hello")
		<-got
		leaving := draining(it)
		leaving.Leave = true
		apply(t, p, one(2, addr, rhumb.TCP, time.Second, leaving))
		close(die)
		eventually(t, "one loss is counted", func() bool { return lost(p) == 1 })
	})
	t.Run("an answer that breaks off", func(t *testing.T) {
		p, addr := start(t, proxy.Options{}), freeAddr(t)
		apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "half")
		})))
		if res, err := http.Get("http://" + addr.String()); err == nil { // else none of it has arrived
			defer res.Body.Close()
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("the answer was complete")
			}
		}
		eventually(t, "one loss is counted", func() bool { return lost(p) == 1 })
	})
}
