package transparent

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// watched are the groups of the kernel's messages that say that something of ours may have changed.
var watched = []struct {
	family int
	groups []uint32
}{
	{unix.NETLINK_ROUTE, []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE}},
	{unix.NETLINK_NETFILTER, []uint32{unix.NFNLGRP_NFTABLES}},
}

// changes signals changes of the machine's links, addresses, routing rules and nftables, until stop is called.
func (m *Machine) changes() (signal <-chan struct{}, stop func()) {
	out := make(chan struct{}, 1)
	var conns []*netlink.Conn
	var reading sync.WaitGroup
	for _, w := range watched {
		c, err := netlink.Dial(w.family, nil)
		if err != nil {
			m.hearsNot(err)
			continue
		}
		conns = append(conns, c)
		for _, g := range w.groups {
			if err := c.JoinGroup(g); err != nil {
				m.hearsNot(fmt.Errorf("group %d: %w", g, err))
			}
		}
		reading.Go(func() { follow(c, m.kernel.mark, out) })
	}
	return out, func() {
		for _, c := range conns {
			_ = c.Close() // which ends its reads
		}
		reading.Wait()
	}
}

// hearsNot notes that some changes aren't reported.
func (m *Machine) hearsNot(err error) {
	m.log.Warn("network changes not seen at once, polling every second", "err", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaf = true
}

// follow signals messages until the connection is closed.
func follow(c *netlink.Conn, table uint32, out chan<- struct{}) {
	for {
		messages, err := c.Receive()
		switch {
		case err == nil && !slices.ContainsFunc(messages, func(m netlink.Message) bool { return concerns(m, table) }):
			continue
		case err != nil && !errors.Is(err, unix.ENOBUFS): // some were lost, which is a signal as well
			return
		}
		select {
		case out <- struct{}{}:
		default:
		}
	}
}

// concerns reports whether something of ours may have changed. A machine may have many routes that change all the time:
// only those that go from our own table count.
func concerns(m netlink.Message, table uint32) bool {
	switch m.Header.Type {
	case unix.RTM_NEWROUTE:
		return false
	case unix.RTM_DELROUTE:
	default:
		return true
	}
	if len(m.Data) < unix.SizeofRtMsg {
		return false
	}
	d, err := netlink.NewAttributeDecoder(m.Data[unix.SizeofRtMsg:])
	if err != nil {
		return false
	}
	for d.Next() {
		if d.Type() == unix.RTA_TABLE {
			return d.Uint32() == table
		}
	}
	return false
}
