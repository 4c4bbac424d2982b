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

// flows compares the connections that the kernel tracks in a namespace with the segment.
type flows struct {
	services standings
	legs     map[netip.Addr]bool      // where connections to endpoints in other networks come from
	gone     map[netip.Addr]bool      // addresses of former endpoints at which no host answers
	former   map[netip.Addr]time.Time // found: former endpoints with connections left
}

// standings is the state of the endpoints, by service address and their own.
type standings map[netip.Addr]map[netip.Addr]standing

// standing is the state of an endpoint: the replica's ID, and whether any endpoint at that address gets new
// connections.
type standing struct {
	replica string
	active  bool
}

// worseThan reports whether an endpoint was active before and isn't now, or a service or an endpoint is gone.
// Connections may have to end then.
func (s standings) worseThan(before standings) bool {
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

func flowsOf(seg rhumb.Segment) *flows {
	f := &flows{services: standings{}, legs: map[netip.Addr]bool{}, former: map[netip.Addr]time.Time{}}
	for _, l := range seg.Legs {
		f.legs[l.Addr] = true
	}
	for _, s := range seg.Services {
		m := map[netip.Addr]standing{}
		for _, e := range s.Endpoints {
			was := m[e.Addr.Addr()]
			m[e.Addr.Addr()] = standing{replica: e.Replica, active: was.active || !e.Draining}
		}
		f.services[s.Addr] = m
	}
	return f
}

// MatchConntrackFlow reports whether a connection must end: any to an address that is no service's any more; a UDP flow
// unless its endpoint is active, so that the next packet goes to an active one; and a TCP connection whose endpoint is
// gone from the network. The caller's next packet is then answered with a reset, by an active endpoint that doesn't
// know the connection or by our rule. A former endpoint that still exists finishes its connections: it is stopped after
// it left the table, and what is open then gets its graceful stop.
func (f *flows) MatchConntrackFlow(c *netlink.ConntrackFlow) bool {
	service, endpoint, ok := ends(c)
	if !ok {
		return false
	}
	endpoints, ours := f.services[service]
	at, known := endpoints[endpoint]
	switch {
	case !ours, !f.translated(c): // the latter began while a rule was missing
		return true
	case known && at.active:
		return false
	case c.Forward.Protocol != unix.IPPROTO_TCP:
		return true
	case known:
		return false
	}
	if f.gone[endpoint] {
		return true
	}
	f.former[endpoint] = time.Time{}
	return false
}

// translated reports whether the endpoint answers to the namespace and not to the caller.
func (f *flows) translated(c *netlink.ConntrackFlow) bool {
	to, _ := netip.AddrFromSlice(c.Reverse.DstIP)
	return c.Reverse.DstIP.Equal(c.Forward.DstIP) || f.legs[to.Unmap()]
}

// ends returns the service address that was called and the endpoint that the connection was routed to. ok is false if
// it was routed to none.
func ends(c *netlink.ConntrackFlow) (service, endpoint netip.Addr, ok bool) {
	service, ok1 := netip.AddrFromSlice(c.Forward.DstIP)
	endpoint, ok2 := netip.AddrFromSlice(c.Reverse.SrcIP)
	service, endpoint = service.Unmap(), endpoint.Unmap()
	return service, endpoint, ok1 && ok2 && service != endpoint
}

// States of a TCP connection as the kernel tracks it (enum tcp_conntrack).
const (
	tcpSynSent   = 1
	tcpCloseWait = 5
	tcpSynSent2  = 9
)

// open reports whether a stop would cut the connection: from its first packet until the second side's end.
func open(c *netlink.ConntrackFlow) bool {
	if c.Forward.Protocol != unix.IPPROTO_TCP {
		return false
	}
	info, ok := c.ProtoInfo.(*netlink.ProtoInfoTCP)
	return ok && (info.State >= tcpSynSent && info.State <= tcpCloseWait || info.State == tcpSynSent2)
}

// tally counts the connections of replicas, by ID, and those of them over which something has moved of late.
type tally struct{ open, busy map[string]int }

// lately is how long ago something must have moved for a connection to be busy. The kernel counts whole seconds.
const lately = 2

// busy reports whether something has moved over an open connection of late. The kernel counts each connection down from
// a limit, which every packet sets again. The limits of other states, and of bytes that aren't acknowledged, are lower.
func busy(c *netlink.ConntrackFlow, limit uint32) bool {
	return limit == 0 || c.TimeOut > limit-lately || c.TimeOut < limit/2
}

// establishedLimit returns the limit of an established connection in the namespace of the calling thread, in seconds,
// or 0 if it can't be read.
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

// count adds up the open connections of draining endpoints in the namespace of the calling thread.
func count(seg rhumb.Segment, into *tally) error {
	if !tracks() {
		return nil
	}
	cs, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list connections: %w", err)
	}
	f, limit := flowsOf(seg), establishedLimit()
	for _, c := range cs {
		service, endpoint, ok := ends(c)
		if !ok || !open(c) {
			continue
		}
		if at, known := f.services[service][endpoint]; known && !at.active {
			into.open[at.replica]++
			if busy(c, limit) {
				into.busy[at.replica]++
			}
		}
	}
	return nil
}

// tracks reports whether the kernel tracks any connection in the namespace of the calling thread. Reading that number
// takes microseconds; a list takes milliseconds, even of none, because all namespaces share one table. In doubt it
// returns true.
func tracks() bool {
	b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	return err != nil || strings.TrimSpace(string(b)) != "0"
}

// draining reports whether any endpoint drains.
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
