package vip

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"rhumb"
)

const image = "rhumb-test/app:1"

// needMachine skips a test if there is no Docker, or no right to change the machine's network.
func needMachine(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds, and -short is on")
	}
	why := ""
	if os.Geteuid() != 0 {
		why = "network namespaces need root"
	} else if out, err := exec.Command("docker", "image", "inspect", image).CombinedOutput(); err != nil {
		why = fmt.Sprintf("no Docker with image %s: %v: %s", image, err, out)
	}
	switch {
	case why == "":
	case os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}

func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// lab is a Docker network with a segment on it.
type lab struct {
	testing.TB
	segments *Segments
	segment  rhumb.Segment
	room     string
	replicas int
}

func newLab(t testing.TB, options ...string) *lab {
	t.Helper()
	room := "vip-" + strings.ToLower(rand.Text()[:8])
	l := &lab{TB: t, room: room, segments: New(Options{Instance: room[4:],
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))})}
	l.segment = l.network(room, options...)
	t.Cleanup(func() {
		if errs := l.segments.Apply(context.Background(), nil); len(errs) > 0 {
			t.Error(errs)
		}
	})
	return l
}

// network makes a network of which Docker assigns only the lower half.
func (l *lab) network(name string, options ...string) rhumb.Segment {
	l.Helper()
	create := append([]string{"network", "create"}, options...)
	docker(l, append(create, name)...)
	subnet := netip.MustParsePrefix(docker(l, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", name))
	docker(l, "network", "rm", name)
	lower := netip.PrefixFrom(subnet.Addr(), subnet.Bits()+1)
	id := docker(l, append(create, "--subnet", subnet.String(), "--ip-range", lower.String(), name)...)
	l.Cleanup(func() { docker(l, "network", "rm", name) })
	return rhumb.Segment{Network: name, ID: id, Stack: l.room, Bridge: "br-" + id[:12], Subnet: subnet}
}

// vipAt returns the n-th address of the upper half.
func vipAt(s rhumb.Segment, n int) netip.Addr {
	a := s.Subnet.Addr().As4()
	host := uint32(1)<<(31-s.Subnet.Bits()) + uint32(n)
	a[2] += byte(host >> 8)
	a[3] += byte(host)
	return netip.AddrFrom4(a)
}

// replica is a container with its network namespace.
type replica struct {
	id, name string
	addr     netip.Addr
	ns       netns.NsHandle
	endpoint rhumb.Endpoint
}

// start starts a replica that answers with its release.
func (l *lab) start(release string, env ...string) replica { return l.startIn(l.room, release, env...) }

func (l *lab) startIn(network, release string, env ...string) replica {
	l.Helper()
	l.replicas++
	name := fmt.Sprintf("%s-%d", l.room, l.replicas)
	args := []string{"run", "-d", "--name", name, "--network", network, "-e", "RELEASE=" + release}
	for _, e := range env {
		args = append(args, "-e", e)
	}
	id := docker(l, append(args, image)...)
	l.Cleanup(func() { docker(l, "rm", "-f", "-v", name) })
	var seen []struct {
		State           struct{ Pid int }
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := json.Unmarshal([]byte(docker(l, "inspect", id)), &seen); err != nil {
		l.Fatal(err)
	}
	r := replica{id: id, name: name}
	if a := seen[0].NetworkSettings.Networks[network].IPAddress; a != "" {
		r.addr = netip.MustParseAddr(a)
		r.endpoint = rhumb.Endpoint{Replica: id, Name: name, Addr: netip.AddrPortFrom(r.addr, 0)}
	}
	var err error
	if r.ns, err = netns.GetFromPid(seen[0].State.Pid); err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { r.ns.Close() })
	return r
}

// ready waits until the replica answers at its own address.
func (l *lab) ready(rs ...replica) {
	l.Helper()
	for _, r := range rs {
		eventually(l, 10*time.Second, func() error {
			_, err := say(client(r.ns), "http://"+net.JoinHostPort(r.addr.String(), "8000"))
			return err
		})
	}
}

func eventually(t testing.TB, limit time.Duration, f func() error) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// serve applies the services' endpoints: the n-th list is that of the service at the n-th address.
func (l *lab) serve(services ...[]rhumb.Endpoint) {
	l.Helper()
	l.segment.Services = nil
	for i, es := range services {
		l.segment.Services = append(l.segment.Services, rhumb.ServiceAddress{Service: "s" + strconv.Itoa(i),
			Addr: vipAt(l.segment, i+1), Endpoints: es})
	}
	l.apply()
}

// apply applies a copy: what was applied is read while a test changes its own.
func (l *lab) apply() {
	l.Helper()
	wanted := l.segment
	wanted.Services = slices.Clone(wanted.Services)
	if errs := l.segments.Apply(context.Background(), []rhumb.Segment{wanted}); len(errs) > 0 {
		l.Fatal(errs)
	}
}

// url returns the URL of the n-th service.
func (l *lab) url(n int) string {
	return "http://" + net.JoinHostPort(vipAt(l.segment, n+1).String(), "8000")
}

// dialIn connects from inside a namespace, or from the machine itself if ns is none.
func dialIn(ns netns.NsHandle, network, addr string, timeout time.Duration) (c net.Conn, err error) {
	d := net.Dialer{Timeout: timeout}
	if ns == netns.None() {
		return d.Dial(network, addr)
	}
	err = within(ns, func() (err error) {
		c, err = d.Dial(network, addr)
		return err
	})
	return c, err
}

// client makes a new connection for each request.
func client(ns netns.NsHandle) *http.Client {
	c := keeping(ns)
	c.Transport.(*http.Transport).DisableKeepAlives = true
	return c
}

// keeping keeps its connections.
func keeping(ns netns.NsHandle) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(_ context.Context, network, addr string) (net.Conn, error) {
			return dialIn(ns, network, addr, 10*time.Second)
		}}}
}

// say returns the release that the application answers with.
func say(c *http.Client, url string) (string, error) {
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d %q: %v", resp.StatusCode, b, err)
	}
	var a struct{ Release string }
	if err := json.Unmarshal(b, &a); err != nil {
		return "", err
	}
	return a.Release, nil
}
