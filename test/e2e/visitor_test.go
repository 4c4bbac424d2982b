package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// visitor is another machine: a network namespace that is connected to this one.
type visitor struct {
	t    *testing.T
	name string
	here map[bool]string     // this machine's address as the visitor knows it, by whether it is of IPv6
	own  map[bool]netip.Addr // the visitor's own
}

// newVisitor connects a visitor until the test ends.
func newVisitor(t *testing.T) *visitor {
	t.Helper()
	n := 20 + rand.IntN(200)
	v := &visitor{t: t, name: fmt.Sprintf("e2e-visitor-%d", n),
		here: map[bool]string{false: fmt.Sprintf("10.213.%d.1", n), true: fmt.Sprintf("fd99:%x::1", n)},
		own: map[bool]netip.Addr{false: netip.MustParseAddr(fmt.Sprintf("10.213.%d.2", n)),
			true: netip.MustParseAddr(fmt.Sprintf("fd99:%x::2", n))}}
	link := fmt.Sprintf("e2ev%d", n)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", v.name).Run() }) // and its link with it
	for _, line := range []string{
		"netns add " + v.name,
		"link add " + link + " type veth peer name eth0 netns " + v.name,
		"addr add " + v.here[false] + "/24 dev " + link,
		"-6 addr add " + v.here[true] + "/64 dev " + link + " nodad",
		"link set " + link + " up",
		"-n " + v.name + " addr add " + v.own[false].String() + "/24 dev eth0",
		"-n " + v.name + " -6 addr add " + v.own[true].String() + "/64 dev eth0 nodad",
		"-n " + v.name + " link set lo up",
		"-n " + v.name + " link set eth0 up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	return v
}

// address returns where the visitor finds a port of this machine.
func (v *visitor) address(six bool, port int) string {
	return net.JoinHostPort(v.here[six], fmt.Sprint(port))
}

// dial connects from the visitor's namespace. A socket belongs to the namespace that it was made in.
func (v *visitor) dial(_ context.Context, network, addr string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			c, err = v.dial(context.Background(), network, addr)
			runtime.UnlockOSThread()
			return
		}
		ns, nsErr := netns.GetFromName(v.name)
		if nsErr == nil {
			defer ns.Close()
			nsErr = netns.Set(ns)
		}
		if err = nsErr; err == nil {
			d := net.Dialer{Timeout: 10 * time.Second}
			c, err = d.Dial(network, addr)
		}
	}()
	<-done
	return c, err
}

// get returns the body of an answer that a visitor gets on a connection of its own.
func (v *visitor) get(addr, host string) (string, error) {
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: v.dial}}
	req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(b), err
}

// seenBy returns the address that the application saw in a connection, and the one in its X-Forwarded-For.
func (v *visitor) seenBy(addr, host string) (peer, forwarded string, err error) {
	body, err := v.get(addr, host)
	if err != nil {
		return "", "", err
	}
	var a struct {
		Remote string
		Header http.Header
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return "", "", fmt.Errorf("%w: %s", err, body)
	}
	peer, _, err = net.SplitHostPort(a.Remote)
	return peer, a.Header.Get("X-Forwarded-For"), err
}

// seenInDatagram returns the address that the application saw in a datagram. Datagrams may be lost.
func (v *visitor) seenInDatagram(addr string) (string, error) {
	c, err := v.dial(v.t.Context(), "udp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	b := make([]byte, 100)
	for range 10 {
		if _, err = c.Write([]byte("who")); err != nil {
			return "", err
		}
		_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		n, readErr := c.Read(b)
		if err = readErr; err == nil {
			host, _, err := net.SplitHostPort(string(b[:n]))
			return host, err
		}
	}
	return "", err
}

// visits ask all the time on new connections, over both families, which address the application sees.
type visits struct {
	stop chan struct{}
	done sync.WaitGroup

	mu    sync.Mutex
	asked int
	wrong map[string]int // answers with another address, and errors
}

// keepVisiting asks an address some 100 times a second until end.
func (v *visitor) keepVisiting(port int) *visits {
	x := &visits{stop: make(chan struct{}), wrong: map[string]int{}}
	for i := range 4 {
		six := i%2 == 1
		x.done.Go(func() {
			for {
				select {
				case <-x.stop:
					return
				case <-time.After(30 * time.Millisecond):
				}
				seen, _, err := v.seenBy(v.address(six, port), "")
				x.mu.Lock()
				x.asked++
				if err != nil {
					x.wrong[clean(err)]++
				} else if seen != v.own[six].String() {
					x.wrong["seen as "+seen]++
				}
				x.mu.Unlock()
			}
		})
	}
	v.t.Cleanup(func() { x.end() })
	return x
}

// end stops the visits, and returns how many there were and what was wrong.
func (x *visits) end() (asked int, wrong map[string]int) {
	select {
	case <-x.stop:
	default:
		close(x.stop)
	}
	x.done.Wait()
	return x.asked, x.wrong
}
