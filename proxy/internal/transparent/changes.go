package transparent

import (
	"errors"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// watched are the groups of the kernel's messages that say that something of ours may have changed.
var watched = []struct {
	family int
	groups []uint32
}{
	{unix.NETLINK_ROUTE, []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE}},
	{unix.NETLINK_NETFILTER, []uint32{unix.NFNLGRP_NFTABLES}},
}

// changes signals changes of the machine's links, routing rules and nftables, until stop is called.
func (m *Machine) changes() (signal <-chan struct{}, stop func()) {
	out := make(chan struct{}, 1)
	var conns []*netlink.Conn
	var reading sync.WaitGroup
	for _, w := range watched {
		c, err := netlink.Dial(w.family, nil)
		if err != nil {
			m.log.Warn("network changes not seen at once, polling every second", "err", err)
			continue
		}
		conns = append(conns, c)
		for _, g := range w.groups {
			if err := c.JoinGroup(g); err != nil {
				m.log.Warn("network changes not seen at once, polling every second", "group", g, "err", err)
			}
		}
		reading.Go(func() { follow(c, out) })
	}
	return out, func() {
		for _, c := range conns {
			_ = c.Close() // which ends its reads
		}
		reading.Wait()
	}
}

// follow signals messages until the connection is closed.
func follow(c *netlink.Conn, out chan<- struct{}) {
	for {
		_, err := c.Receive()
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // some were lost, which is a signal as well
			return
		}
		select {
		case out <- struct{}{}:
		default:
		}
	}
}
