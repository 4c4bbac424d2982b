package proxy_test

import (
	"context"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// datagrams starts a UDP replica that answers with its name and what it got.
func datagrams(t testing.TB, name string) rhumb.Endpoint {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			c.WriteTo(fmt.Appendf(nil, "%s: %s", name, b[:n]), from)
		}
	}()
	return endpoint(name, c.LocalAddr().String())
}

func udpDial(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.UDPConn)
}

var questions atomic.Int64

// ask repeats a datagram until its answer comes: datagrams may be lost. The replica's answer ends with the datagram,
// and a number in it rules out late answers to earlier datagrams.
func ask(t testing.TB, c *net.UDPConn, words string) string {
	t.Helper()
	number := fmt.Sprint(" #", questions.Add(1))
	b := make([]byte, 2048)
	for range 50 {
		fmt.Fprint(c, words+number)
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
			if answer, ok := strings.CutSuffix(string(b[:n]), number); ok {
				return answer
			}
		}
	}
	t.Fatal("no answer")
	return ""
}

func TestAUDPClientStaysWithItsDrainingReplica(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{SessionTime: 500 * time.Millisecond}})
	addr, a, b := freeAddr(t), datagrams(t, "a"), datagrams(t, "b")
	apply(t, p, one(1, addr, rhumb.UDP, 0, a))
	c1 := udpDial(t, addr.String())
	if got := ask(t, c1, "x"); got != "a: x" {
		t.Fatal(got)
	}
	apply(t, p, one(2, addr, rhumb.UDP, 0, draining(a), b))
	if got := ask(t, c1, "y"); got != "a: y" {
		t.Errorf("the old client: %s", got)
	}
	if got := ask(t, udpDial(t, addr.String()), "z"); got != "b: z" {
		t.Errorf("a new client: %s", got)
	}
	if open(t, p, "a") != 1 {
		t.Error("the session isn't counted")
	}
	apply(t, p, one(3, addr, rhumb.UDP, 0, b))
	if got := ask(t, c1, "w"); got != "b: w" {
		t.Errorf("the old client, its replica removed: %s", got)
	}
	eventually(t, "idle sessions end", func() bool { return open(t, p, "a")+open(t, p, "b") == 0 })
}

func TestAUDPClientIsMovedFromADeadReplica(t *testing.T) {
	died := make(chan string)
	p := start(t, proxy.Options{Lives: func(ctx context.Context) iter.Seq2[proxy.Life, error] {
		return func(yield func(proxy.Life, error) bool) {
			for {
				select {
				case <-ctx.Done():
					return
				case id := <-died:
					yield(proxy.Life{ID: id}, nil)
				}
			}
		}
	}})
	addr, a, b := freeAddr(t), datagrams(t, "a"), datagrams(t, "b")
	apply(t, p, one(1, addr, rhumb.UDP, 0, a))
	c := udpDial(t, addr.String())
	ask(t, c, "x")
	apply(t, p, one(2, addr, rhumb.UDP, 0, a, b))
	died <- "a"
	died <- "another" // once this death is taken, the first one was noted
	if got := ask(t, c, "y"); got != "b: y" {
		t.Errorf("after its replica died: %s", got)
	}
}

func TestUDPAnswersComeFromTheCalledAddress(t *testing.T) {
	p := start(t, proxy.Options{})
	port := freeAddr(t).Port()
	apply(t, p, one(1, netip.AddrPortFrom(netip.IPv6Unspecified(), port), rhumb.UDP, 0, datagrams(t, "a")))
	for _, host := range []string{"127.0.0.2", "127.0.0.1", "[::1]"} {
		c := udpDial(t, fmt.Sprintf("%s:%d", host, port)) // connected: it takes answers from that address only
		if got := ask(t, c, "x"); got != "a: x" {
			t.Errorf("%s: %s", host, got)
		}
	}
}

func TestAUDPReplicaThatRefusesIsAvoided(t *testing.T) {
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.UDP, 0, deadEndpoint(t, "dead"), datagrams(t, "a")))
	for range 4 {
		if got := ask(t, udpDial(t, addr.String()), "x"); got != "a: x" {
			t.Fatal(got)
		}
	}
}

// unanswered reports whether the proxy has no place for the client.
func unanswered(t *testing.T, c *net.UDPConn) bool {
	t.Helper()
	fmt.Fprint(c, "x")
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err := c.Read(make([]byte, 10))
	return err != nil
}

func TestUDPSessionsAreLimited(t *testing.T) {
	for name, limits := range map[string]proxy.Limits{"of a listener": {Sessions: 2}, "in all": {TotalSessions: 2}} {
		t.Run(name, func(t *testing.T) {
			p := start(t, proxy.Options{Limits: limits})
			addr := freeAddr(t)
			apply(t, p, one(1, addr, rhumb.UDP, 0, datagrams(t, "a")))
			for range 2 {
				c := udpDial(t, addr.String())
				ask(t, c, "x")
				ask(t, c, "settled")
			}
			if !unanswered(t, udpDial(t, addr.String())) {
				t.Fatal("a third client was served")
			}
		})
	}
}

func TestAnUnsettledUDPSessionMakesRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until a session has had its time to settle")
	}
	p := start(t, proxy.Options{Limits: proxy.Limits{Sessions: 2}})
	addr := freeAddr(t)
	replica := datagrams(t, "a")
	apply(t, p, one(1, addr, rhumb.UDP, 0, replica))
	settled := udpDial(t, addr.String())
	ask(t, settled, "x")
	ask(t, settled, "y")
	ask(t, udpDial(t, addr.String()), "once")
	if !unanswered(t, udpDial(t, addr.String())) {
		t.Error("a new session made room at once")
	}
	ask(t, udpDial(t, addr.String()), "another") // which asks until the session of "once" has had its time
	if n := open(t, p, "a"); n != 2 {
		t.Errorf("%d sessions, want the settled one's and the other's", n)
	}
	if got := ask(t, settled, "z"); got != "a: z" {
		t.Error(got)
	}
}

func TestUDPSessionsSurviveATakeover(t *testing.T) {
	dir := t.TempDir()
	spawn(t, dir)
	addr := freeAddr(t)
	apply(t, proxy.Dial(filepath.Join(dir, "s")), one(1, addr, rhumb.UDP, 0, datagrams(t, "a")))
	c := udpDial(t, addr.String())
	ask(t, c, "x")
	spawn(t, dir)
	for i := range 20 {
		words := fmt.Sprint(i)
		if got := ask(t, c, words); got != "a: "+words {
			t.Fatal(got)
		}
	}
}
