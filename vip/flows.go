package vip

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rhumb"
)

// flows judges the connections that the kernel tracks in a namespace against what the segment says now.
type flows struct {
	services standings
	gone     map[netip.Addr]bool      // addresses of former endpoints that nobody answers at
	former   map[netip.Addr]time.Time // found: former endpoints with connections left
}

// standings is how endpoints stand, by service address and their own.
type standings map[netip.Addr]map[netip.Addr]standing

// standing is how an endpoint stands: the replica's ID, and whether any of its endpoints at that address gets new connections.
type standing struct {
	replica string
	active  bool
}

// forsake tells whether somebody stood better before, or whether a service had its address: connections may have to end.
func (s standings) forsake(before standings) bool {
	for service, endpoints := range before {
		now, ours := s[service]
		if !ours {
			return true
		}
		for at, was := range endpoints {
			if is, known := now[at]; !known || was.active && !is.active {
				return true
			}
		}
	}
	return false
}

func flowsOf(services []rhumb.ServiceAddress) *flows {
	f := &flows{services: standings{}, former: map[netip.Addr]time.Time{}}
	for _, s := range services {
		m := map[netip.Addr]standing{}
		for _, e := range s.Endpoints {
			was := m[e.Addr.Addr()]
			m[e.Addr.Addr()] = standing{replica: e.Replica, active: was.active || !e.Draining}
		}
		f.services[s.Addr] = m
	}
	return f
}

// MatchConntrackFlow tells which connections end: all to addresses that are no service's any more; those without a connection (UDP)
// unless their endpoint is active, so that their next packet goes to one that is; and TCP's whose endpoint is gone from the network. The
// caller's next packet is then answered with a reset, by an active endpoint that doesn't know it or by our rule. A former endpoint that
// is still there finishes by itself: it is stopped after it left the table, and what is open then gets its graceful stop.
func (f *flows) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	service, target, ok := ends(c)
	if !ok {
		return false
	}
	endpoints, ours := f.services[service]
	at, known := endpoints[target]
	switch {
	case !ours, !c.Reverse.DstIP.Equal(c.Forward.DstIP): // the latter began while a rule was missing
		return true
	case known && at.active:
		return false
	case c.Forward.Protocol != unix.IPPROTO_TCP:
		return true
	case known:
		return false
	}
	if f.gone[target] {
		return true
	}
	f.former[target] = time.Time{}
	return false
}

// ends gives the service address that was called and the endpoint that the connection was led to; not ok for what wasn't led.
func ends(c *netlink.ConntrackFlow) (service, target netip.Addr, ok bool) {
	service, ok1 := netip.AddrFromSlice(c.Forward.DstIP)
	target, ok2 := netip.AddrFromSlice(c.Reverse.SrcIP)
	service, target = service.Unmap(), target.Unmap()
	return service, target, ok1 && ok2 && service != target
}

// States of a TCP connection as the kernel tracks it (enum tcp_conntrack).
const (
	tcpSynSent   = 1
	tcpCloseWait = 5
	tcpSynSent2  = 9
)

// open tells whether the connection is one that a stop would cut: from its first packet until the second side's end.
func open(c *netlink.ConntrackFlow) bool {
	if c.Forward.Protocol != unix.IPPROTO_TCP {
		return false
	}
	info, ok := c.ProtoInfo.(*netlink.ProtoInfoTCP)
	return ok && (info.State >= tcpSynSent && info.State <= tcpCloseWait || info.State == tcpSynSent2)
}

// tally is how many connections replicas have, by ID, and over how many of them something has moved of late.
type tally struct{ open, busy map[string]int }

// lately is how long ago something must have moved for a connection to be busy, in the whole seconds that the kernel tells.
const lately = 2

// busy reports whether something has moved over an open connection of late. The kernel counts each down from a limit, which
// every packet sets again; the other states' limits, and the one for bytes that aren't acknowledged, are lower.
func busy(c *netlink.ConntrackFlow, limit uint32) bool {
	return limit == 0 || c.TimeOut > limit-lately || c.TimeOut < limit/2
}

// establishedLimit returns the limit of an established connection in the namespace of the calling thread, in seconds; 0 if
// it can't be read.
func establishedLimit() uint32 {
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || n <= 2*lately {
		return 0
	}
	return uint32(n)
}

// count adds up the open connections of endpoints that drain. It counts in the namespace of the calling thread.
func count(services []rhumb.ServiceAddress, into *tally) error {
	if !tracks() {
		return nil
	}
	cs, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list connections: %w", err)
	}
	f, limit := flowsOf(services), establishedLimit()
	for _, c := range cs {
		service, target, ok := ends(c)
		if !ok || !open(c) {
			continue
		}
		if at, known := f.services[service][target]; known && !at.active {
			into.open[at.replica]++
			if busy(c, limit) {
				into.busy[at.replica]++
			}
		}
	}
	return nil
}

// tracks tells whether the kernel tracks any connection in the namespace of the calling thread. A number is read in microseconds; a list takes
// milliseconds, even of none: the table is one for all namespaces. When in doubt there are some.
func tracks() bool {
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	return err != nil || strings.TrimSpace(string(b)) != "0"
}

// draining tells whether any endpoint drains.
func draining(services []rhumb.ServiceAddress) bool {
	for _, s := range services {
		for _, e := range s.Endpoints {
			if e.Draining {
				return true
			}
		}
	}
	return false
}
