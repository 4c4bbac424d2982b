package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

func TestATakenAddressRefusesTheTableAndNamesItsHolder(t *testing.T) {
	p := start(t, proxy.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken, mine, other := netip.MustParseAddrPort(l.Addr().String()), freeAddr(t), freeAddr(t)
	apply(t, p, one(1, mine, rhumb.HTTP, 0, web(t, "a", nil)))
	tb := one(2, other, rhumb.HTTP, 0)
	tb.Listeners = append(tb.Listeners, rhumb.Listener{Addr: taken, Protocol: rhumb.TCP, Backend: "shop/web:80"})
	comm, _ := os.ReadFile("/proc/self/comm")
	who := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), os.Getpid())
	for _, err := range []error{p.Apply(t.Context(), tb), p.Check(t.Context(), tb.Listeners)} {
		if rhumb.ErrorCode(err) != rhumb.Conflict || !strings.Contains(err.Error(),
			taken.String()+"/tcp is in use by "+who) {
			t.Errorf("%v", err)
		}
	}
	if _, body := get(t, "http://"+mine.String()); body != "a" {
		t.Errorf("the old table isn't served: %q", body)
	}
	if c, err := net.Dial("tcp", other.String()); err == nil {
		c.Close()
		t.Error("a listener of the refused table exists")
	}
	if err := p.Check(t.Context(), []rhumb.Listener{{Addr: mine, Protocol: rhumb.TCP},
		{Addr: other, Protocol: rhumb.UDP}, {Addr: other, Protocol: rhumb.TCP}}); err != nil {
		t.Errorf("check of a free address and of our own: %v", err)
	}
}

func TestAListenerChangesItsProtocolOnTheSameSocket(t *testing.T) {
	p := start(t, proxy.Options{})
	addr, a := freeAddr(t), web(t, "a", nil)
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "e", echo("e"))))
	if _, _, who := dialLine(t, addr); who != "e" {
		t.Fatal(who)
	}
	apply(t, p, one(2, addr, rhumb.HTTP, 0, a))
	if _, body := get(t, "http://"+addr.String()); body != "a" {
		t.Fatal(body)
	}
	apply(t, p, rhumb.Table{Version: 3})
	if c, err := net.Dial("tcp", addr.String()); err == nil {
		c.Close()
		t.Error("a removed listener still accepts")
	}
}

func TestAnAddressIsWidenedAndNarrowed(t *testing.T) {
	p := start(t, proxy.Options{})
	a, narrow := web(t, "a", nil), freeAddr(t)
	wide := netip.AddrPortFrom(netip.IPv6Unspecified(), narrow.Port())
	for i, addr := range []netip.AddrPort{narrow, wide, narrow} {
		apply(t, p, one(uint64(i+1), addr, rhumb.HTTP, 0, a))
		if _, body := get(t, "http://"+narrow.String()); body != "a" {
			t.Errorf("%s: %q", addr, body)
		}
		c, err := net.Dial("tcp", fmt.Sprintf("[::1]:%d", narrow.Port()))
		if err == nil {
			c.Close()
		}
		if (err == nil) != (addr == wide) {
			t.Errorf("%s over IPv6: %v", addr, err)
		}
	}
}

func TestConnectionsOverTheLimitWait(t *testing.T) {
	p := start(t, proxy.Options{Limits: proxy.Limits{Conns: 2}})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "e", echo("e"))))
	first, _, _ := dialLine(t, addr)
	dialLine(t, addr)
	third, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	third.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := third.Read(make([]byte, 8)); err == nil {
		t.Fatalf("the third connection is served: %d bytes", n)
	}
	first.Close()
	third.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := third.Read(make([]byte, 8)); err != nil {
		t.Fatalf("the third connection isn't served after the first has ended: %v", err)
	}
}

func TestAKilledProxyServesItsLastTableAfterItsRestart(t *testing.T) {
	dir := t.TempDir()
	c := proxy.Dial(filepath.Join(dir, "s"))
	first := spawn(t, dir)
	addr := freeAddr(t)
	apply(t, c, one(41, addr, rhumb.HTTP, 0, web(t, "a", nil)))
	first.Process.Signal(syscall.SIGKILL)
	<-first.ended
	if _, err := c.Status(t.Context()); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Fatalf("a dead proxy: %v", err)
	}
	second := spawn(t, dir)
	if _, body := get(t, "http://"+addr.String()); body != "a" {
		t.Fatal(body)
	}
	st, err := c.Status(t.Context())
	if err != nil || st.Table.Version != 41 {
		t.Fatalf("%+v, %v", st, err)
	}
	second.Process.Signal(syscall.SIGTERM)
	if err := <-second.ended; err != nil {
		t.Fatalf("after SIGTERM: %v", err)
	}
}

func TestADamagedTableOnDiskIsSetAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "table.json"), []byte(`{"Version": 7, "List`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, proxy.Options{State: dir})
	apply(t, p, one(1, freeAddr(t), rhumb.HTTP, 0))
	bad, err := filepath.Glob(filepath.Join(dir, "table.json.*.bad"))
	if err != nil || len(bad) != 1 {
		t.Fatalf("%v, %v", bad, err)
	}
	if b, _ := os.ReadFile(bad[0]); string(b) != `{"Version": 7, "List` {
		t.Fatalf("%q", b)
	}
}

func TestAnAddressTakenAtTheStartIsBoundLater(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken, free := netip.MustParseAddrPort(l.Addr().String()), freeAddr(t)
	a := web(t, "a", nil)
	table := one(3, taken, rhumb.HTTP, 0, a)
	table.Listeners = append(table.Listeners, rhumb.Listener{Addr: free, Protocol: rhumb.HTTP, Backend: "shop/web:80"})
	saved, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "table.json"), saved, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, proxy.Options{State: dir})
	eventually(t, "the free address is served", func() bool {
		r, err := http.Get("http://" + free.String())
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	eventually(t, "Status names the address that isn't bound", func() bool {
		st, err := p.Status(t.Context())
		return err == nil && len(st.Unbound) == 1 && st.Unbound[0].Addr == taken
	})
	table.Version++
	apply(t, p, table) // other changes are still possible
	l.Close()
	eventually(t, "the other address is served too", func() bool {
		r, err := http.Get("http://" + taken.String())
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
}

func TestTheControlSocketIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	spawn(t, dir)
	st, err := os.Stat(filepath.Join(dir, "s"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st.Mode(), err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "s.*"))
	if len(names) != 1 || filepath.Base(names[0]) != "s.lock" {
		t.Errorf("left beside it: %v", names)
	}
}

func TestApplyWaitsForRun(t *testing.T) {
	p, err := proxy.New(proxy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Apply(ctx, rhumb.Table{Version: 1}); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Fatalf("%v", err)
	}
}

func TestNegativeLimitsAreRefused(t *testing.T) {
	if _, err := proxy.New(proxy.Options{Limits: proxy.Limits{Waiting: -1}}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Error(err)
	}
	if _, err := proxy.New(proxy.Options{Limits: proxy.Limits{DialTime: -1}}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Error(err)
	}
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until connections count as idle")
	}
	for name, limits := range map[string]proxy.Limits{"the listener": {Conns: 2}, "the proxy": {TotalConns: 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, proxy.Options{Limits: limits})
			addr := freeAddr(t)
			apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", nil)))
			for range 2 {
				tr := &http.Transport{}
				defer tr.CloseIdleConnections()
				r, err := (&http.Client{Transport: tr}).Get("http://" + addr.String())
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
			if _, body := get(t, "http://"+addr.String()); body != "a" { // long before the idle time of 90 s
				t.Fatal(body)
			}
		})
	}
}
