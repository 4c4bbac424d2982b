package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// 10,000 clients ask as often as they can, through a balancer that is trusted. Others ask once each.
func TestClientsOverTheirLimitDelayNoOtherAlone(t *testing.T) {
	alone(t)
	p, addr := start(t, proxy.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}), freeAddr(t)
	one := few
	one.Burst = 0
	var passed atomic.Int64
	e := web(t, "a", func(http.ResponseWriter, *http.Request) { passed.Add(1) })
	apply(t, p, limitedTo(1, addr, rhumb.HTTP, e, one))
	var work sync.WaitGroup
	var ended atomic.Bool
	defer work.Wait()
	defer ended.Store(true)
	for i := range 64 {
		work.Go(func() { attack(t, addr, i, &ended) })
	}
	for n := range int64(5) { // on a slow machine too
		eventually(t, "clients pass once", func() bool { return passed.Load() > (n+1)*1900 })
	}
	eventually(t, "the limits refuse", func() bool { return limitStats(t, p).Refused > 1000 })
	c := clientOf(t, false)
	var took []time.Duration
	for i := range 1000 {
		began := time.Now()
		client := fmt.Sprintf("192.0.%d.%d", i>>8, i&255)
		resp, _ := query(t, c, "GET", "http://"+addr.String(), nil, "X-Forwarded-For", client)
		took = append(took, time.Since(began))
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	ended.Store(true)
	work.Wait()
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	t.Logf("p50 %v, p99 %v, %d refused", took[len(took)/2], p99, limitStats(t, p).Refused)
	if p99 > 100*time.Millisecond {
		t.Errorf("p99 is %v", p99)
	}
}

// attack sends requests of each 64th of 10,000 clients, one after the other, until ended.
func attack(t *testing.T, addr netip.AddrPort, number int, ended *atomic.Bool) {
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for i := number; !ended.Load(); i = (i + 64) % 10_000 {
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.9.%d.%d\r\n\r\n", i>>8, i&255)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}
