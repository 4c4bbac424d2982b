package vip

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"rhumb"
)

// cable is a pair of links that connects a namespace with a bridge. One end is inside, the other a port of the bridge.
type cable struct {
	inside string // the name of the end in the namespace
	port   string // the name of the other end
	seed   string // what the MACs of both are derived from
	bridge string
	at     netlink.Link // the bridge, once it is found
	subnet netip.Prefix
	addrs  []netip.Addr // of the end inside
}

// find finds the cable's bridge.
func (c *cable) find(host *netlink.Handle) (err error) {
	if c.at, err = host.LinkByName(c.bridge); err != nil {
		return fmt.Errorf("its bridge %s isn't there: %w", c.bridge, err)
	}
	if c.at.Type() != "bridge" {
		return fmt.Errorf("its bridge %s is a %s", c.bridge, c.at.Type())
	}
	return nil
}

// cables returns the cables of a segment, the one to its own bridge first.
func cables(instance string, s rhumb.Segment) []cable {
	own := cable{inside: inside, port: linkName(instance, s.ID), seed: s.ID, bridge: s.Bridge, subnet: s.Subnet}
	for _, svc := range s.Services {
		own.addrs = append(own.addrs, svc.Addr)
	}
	list := []cable{own}
	for _, l := range s.Legs {
		pair := s.ID + "/" + l.ID
		list = append(list, cable{inside: legName(l.ID), port: linkName(instance, pair), seed: pair, bridge: l.Bridge,
			subnet: l.Subnet, addrs: []netip.Addr{l.Addr}})
	}
	return list
}

// plug connects the namespace with a bridge: the end inside first, with its addresses, and the port last.
func (m *making) plug(host *netlink.Handle, ns netns.NsHandle, c cable) error {
	port, err := m.port(host, ns, c)
	if err != nil {
		return err
	}
	if err := within(ns, func() error { return m.connect(c) }); err != nil {
		return err
	}
	return up(host, port, ns, c)
}

// port returns the host's end of the cable, which is a port of the bridge. A cable with a missing end is replaced.
func (m *making) port(host *netlink.Handle, ns netns.NsHandle, c cable) (netlink.Link, error) {
	port, err := host.LinkByName(c.port)
	var none netlink.LinkNotFoundError
	switch {
	case errors.As(err, &none):
		return m.pair(host, ns, c)
	case err != nil:
		return nil, fmt.Errorf("look at link %s: %w", c.port, err)
	}
	whole := false
	err = within(ns, func() error {
		in, err := netlink.LinkByName(c.inside)
		whole = err == nil && in.Attrs().ParentIndex == port.Attrs().Index &&
			port.Attrs().ParentIndex == in.Attrs().Index
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !whole {
		if err := host.LinkDel(port); err != nil && !errors.As(err, &none) && !errors.Is(err, unix.ENODEV) {
			return nil, fmt.Errorf("replace link %s: %w", c.port, err)
		}
		return m.pair(host, ns, c)
	}
	if port.Attrs().MasterIndex != c.at.Attrs().Index {
		m.repaired = append(m.repaired, "port of the bridge")
		if err := host.LinkSetMaster(port, c.at); err != nil {
			return nil, fmt.Errorf("make link %s a port of %s: %w", c.port, c.bridge, err)
		}
	}
	return port, nil
}

// pair makes the cable, with both ends down.
func (m *making) pair(host *netlink.Handle, ns netns.NsHandle, c cable) (netlink.Link, error) {
	m.repaired = append(m.repaired, "link")
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = c.port, portMAC(c.seed)
	attrs.MasterIndex, attrs.MTU = c.at.Attrs().Index, c.at.Attrs().MTU
	v := netlink.NewVeth(attrs)
	v.PeerName, v.PeerHardwareAddr, v.PeerNamespace = c.inside, macOf(c.seed), netlink.NsFd(ns)
	// An end that is left inside would be in the way of a new one. Its other end is gone.
	err := within(ns, func() error {
		if old, err := netlink.LinkByName(c.inside); err == nil {
			return netlink.LinkDel(old)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replace the link inside: %w", err)
	}
	if err := host.LinkAdd(v); err != nil {
		return nil, fmt.Errorf("make link %s: %w", c.port, err)
	}
	port, err := host.LinkByName(c.port)
	if err != nil {
		return nil, fmt.Errorf("look at link %s: %w", c.port, err)
	}
	if err := host.LinkSetAlias(port, namespaceName(m.instance, m.want.ID)); err != nil { // by which prune finds it
		return nil, fmt.Errorf("mark link %s: %w", c.port, err)
	}
	return port, nil
}

// connect sets up the end inside, in the namespace of the calling thread.
func (m *making) connect(c cable) error {
	link, err := netlink.LinkByName(c.inside)
	if err != nil {
		return fmt.Errorf("look at the link inside: %w", err)
	}
	if mac := macOf(c.seed); !bytes.Equal(link.Attrs().HardwareAddr, mac) {
		m.repaired = append(m.repaired, "MAC")
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("set the MAC: %w", err)
		}
	}
	if err := m.set(linkSettings(c.inside)); err != nil {
		return err
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		m.repaired = append(m.repaired, "link up")
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set the link inside up: %w", err)
		}
	}
	return m.address(link, c)
}

// address sets the addresses of the end inside and removes all others.
func (m *making) address(link netlink.Link, c cable) error {
	have, err := netlink.AddrList(link, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	var want, there []netip.Prefix
	for _, a := range c.addrs {
		want = append(want, netip.PrefixFrom(a, c.subnet.Bits()))
	}
	for _, a := range have {
		ip, _ := netip.AddrFromSlice(a.IP.To4())
		bits, _ := a.Mask.Size()
		p := netip.PrefixFrom(ip, bits)
		if there = append(there, p); slices.Contains(want, p) {
			continue
		}
		if err := netlink.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("remove address %s: %w", p, err)
		}
	}
	for _, p := range want {
		if slices.Contains(there, p) {
			continue
		}
		m.repaired = append(m.repaired, "address "+p.Addr().String())
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}}
		if err := netlink.AddrAdd(link, a); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s: %w", p, err)
		}
	}
	return nil
}

// unplug removes the legs that are not among these cables, in the namespace of the calling thread.
func unplug(keep []cable) error {
	ls, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list links: %w", err)
	}
	for _, l := range ls {
		name := l.Attrs().Name
		wanted := slices.ContainsFunc(keep, func(c cable) bool { return c.inside == name })
		if wanted || !strings.HasPrefix(name, legPrefix) {
			continue
		}
		if err := netlink.LinkDel(l); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove link %s: %w", name, err)
		}
	}
	return nil
}

// up sets the host's end up, last of all, and waits until both ends carry packets. The kernel begins with that a moment
// later. A caller whose ARP request is lost meanwhile repeats it only after a second.
func up(host *netlink.Handle, port netlink.Link, ns netns.NsHandle, c cable) error {
	if a := port.Attrs(); a.Flags&net.FlagUp != 0 && a.OperState == netlink.OperUp {
		return nil
	}
	if err := host.LinkSetUp(port); err != nil {
		return fmt.Errorf("set link %s up: %w", c.port, err)
	}
	if err := carries(func() (netlink.Link, error) { return host.LinkByName(c.port) }); err != nil {
		return err
	}
	return within(ns, func() error {
		return carries(func() (netlink.Link, error) { return netlink.LinkByName(c.inside) })
	})
}

// carryTime is how long a link may take until it carries packets. It takes some milliseconds.
const carryTime = time.Second

func carries(look func() (netlink.Link, error)) error {
	end := time.Now().Add(carryTime)
	for {
		link, err := look()
		switch {
		case err != nil:
			return fmt.Errorf("look at a link: %w", err)
		case link.Attrs().OperState == netlink.OperUp:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("link %s carries nothing", link.Attrs().Name)
		}
		time.Sleep(time.Millisecond)
	}
}
