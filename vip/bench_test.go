package vip

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"rhumb"
)

// BenchmarkApply measures a change of one service, and a look at segments that are as they should be.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, 20} {
		l := newLab(b)
		ss := []rhumb.Segment{l.segment}
		for i := 1; i < n; i++ {
			ss = append(ss, l.network(fmt.Sprintf("%s-%d", l.room, i)))
		}
		for i := range ss {
			for j := range 10 {
				ss[i].Services = append(ss[i].Services, rhumb.ServiceAddress{Addr: vipAt(ss[i], j+1),
					Endpoints: []rhumb.Endpoint{
						{Replica: "r", Addr: netip.AddrPortFrom(ss[i].Subnet.Addr().Next().Next(), 0)}}})
			}
		}
		apply := func() {
			if errs := l.segments.Apply(b.Context(), ss); len(errs) > 0 {
				b.Fatal(errs)
			}
		}
		began := time.Now()
		apply()
		b.Logf("%d segments made in %v", n, time.Since(began))
		for name, change := range map[string]bool{"look": false, "change": true} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				var before, after syscall.Rusage
				_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
				for b.Loop() {
					if change {
						e := slices.Clone(ss[0].Services[0].Endpoints)
						e[0].Draining = !e[0].Draining
						ss[0].Services = slices.Clone(ss[0].Services)
						ss[0].Services[0].Endpoints = e
					}
					apply()
				}
				_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
				cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
				b.ReportMetric(float64(cpu)/float64(b.N), "cpu-ns/op")
			})
		}
		if errs := l.segments.Apply(b.Context(), nil); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}

// BenchmarkConnect measures what a service address adds to a connect.
func BenchmarkConnect(b *testing.B) {
	l := newLab(b)
	r := l.start("a")
	l.ready(r)
	l.serve([]rhumb.Endpoint{r.endpoint})
	for name, addr := range map[string]netip.Addr{"replica": r.addr, "service": vipAt(l.segment, 1)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c, err := dialIn(netns.None(), "tcp", net.JoinHostPort(addr.String(), "8000"), time.Second)
				if err != nil {
					b.Fatal(err)
				}
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
}
