package vip

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"rhumb"
)

// segment is what we remember of a segment: only what can't be seen. Everything else is looked up each time.
type segment struct {
	rules rules
	// of the namespace's rules after our last change; another number means that another process changed them
	epoch  uint32
	stood  standings                // the endpoints' state when the connections were last settled
	former map[netip.Addr]time.Time // endpoints that left with connections open, and since when no host answers there
	looks  int                      // looks at the connections that a change needs; two, as packets overtake changes
	failed string                   // the last error that was logged
}

// making is one look at a segment, with what had to be done.
type making struct {
	*segment
	instance string
	want     rhumb.Segment
	fresh    bool     // nothing of it existed
	repaired []string // what wasn't as it should be
}

// make makes the segment as it should be.
func (m *making) make() error {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("ask the kernel: %w", err)
	}
	defer host.Close()
	bridge, err := host.LinkByName(m.want.Bridge)
	if err != nil {
		return fmt.Errorf("its bridge %s isn't there: %w", m.want.Bridge, err)
	}
	if bridge.Type() != "bridge" {
		return fmt.Errorf("its bridge %s is a %s", m.want.Bridge, bridge.Type())
	}
	ns, made, err := openNamespace(namespaceName(m.instance, m.want.ID))
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	if m.fresh = made; made {
		m.epoch = 0
		m.repaired = append(m.repaired, "namespace")
	}
	// First the rules and routes, then what brings packets to them.
	if err := within(ns, m.prepare); err != nil {
		return err
	}
	port, err := m.port(host, bridge, ns)
	if err != nil {
		return err
	}
	if err := within(ns, func() error { return m.connect(port) }); err != nil {
		return err
	}
	return up(host, port, ns)
}

// prepare sets up the namespace of the calling thread, except for its link.
func (m *making) prepare() error {
	if err := m.set(settings); err != nil {
		return err
	}
	if err := m.install(); err != nil {
		return err
	}
	if err := m.route(); err != nil {
		return err
	}
	return m.rank()
}

func (m *making) set(all []setting) error {
	changed, err := set(all)
	m.repaired = append(m.repaired, changed...)
	return err
}

// install installs the rules if they aren't there. The kernel numbers the changes of a namespace's rules, so one number
// says whether they are as we left them. If the table is ours, only what is in its chains is replaced.
func (m *making) install() error {
	now, err := epoch()
	if err != nil {
		return err
	}
	r := rulesOf(m.want.Services)
	ours := m.epoch != 0 && now == m.epoch
	same := m.epoch != 0 && m.rules.equal(r)
	if same && ours {
		return nil
	}
	if err := install(r, !ours); err != nil {
		return fmt.Errorf("put rules in: %w", err)
	}
	if same {
		m.repaired = append(m.repaired, "rules")
	}
	if !ours && !m.fresh {
		m.looks = 2
	}
	m.rules = r
	m.epoch, err = epoch()
	return err
}

// port returns the host's end of the pair of links, which is a port of the bridge. A pair with a missing end is
// replaced.
func (m *making) port(host *netlink.Handle, bridge netlink.Link, ns netns.NsHandle) (netlink.Link, error) {
	name := linkName(m.instance, m.want.ID)
	port, err := host.LinkByName(name)
	var none netlink.LinkNotFoundError
	switch {
	case errors.As(err, &none):
		return m.pair(host, bridge, ns, name)
	case err != nil:
		return nil, fmt.Errorf("look at link %s: %w", name, err)
	}
	whole := false
	err = within(ns, func() error {
		in, err := netlink.LinkByName(inside)
		whole = err == nil && in.Attrs().ParentIndex == port.Attrs().Index &&
			port.Attrs().ParentIndex == in.Attrs().Index
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !whole {
		if err := host.LinkDel(port); err != nil && !errors.As(err, &none) && !errors.Is(err, unix.ENODEV) {
			return nil, fmt.Errorf("replace link %s: %w", name, err)
		}
		return m.pair(host, bridge, ns, name)
	}
	if port.Attrs().MasterIndex != bridge.Attrs().Index {
		m.repaired = append(m.repaired, "port of the bridge")
		if err := host.LinkSetMaster(port, bridge); err != nil {
			return nil, fmt.Errorf("make link %s a port of %s: %w", name, m.want.Bridge, err)
		}
	}
	return port, nil
}

// pair makes a pair of links, both down.
func (m *making) pair(host *netlink.Handle, bridge netlink.Link, ns netns.NsHandle, name string) (netlink.Link, error) {
	m.repaired = append(m.repaired, "link")
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = name, portMAC(m.want.ID)
	attrs.MasterIndex, attrs.MTU = bridge.Attrs().Index, bridge.Attrs().MTU
	v := netlink.NewVeth(attrs)
	v.PeerName, v.PeerHardwareAddr, v.PeerNamespace = inside, macOf(m.want.ID), netlink.NsFd(ns)
	// An end that is left inside would be in the way of a new one. Its other end is gone.
	err := within(ns, func() error {
		if old, err := netlink.LinkByName(inside); err == nil {
			return netlink.LinkDel(old)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replace the link inside: %w", err)
	}
	if err := host.LinkAdd(v); err != nil {
		return nil, fmt.Errorf("make link %s: %w", name, err)
	}
	port, err := host.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("look at link %s: %w", name, err)
	}
	if err := host.LinkSetAlias(port, namespaceName(m.instance, m.want.ID)); err != nil { // by which prune finds it
		return nil, fmt.Errorf("mark link %s: %w", name, err)
	}
	return port, nil
}

// connect sets the inner link's addresses, in the namespace of the calling thread, and ends connections that no
// endpoint answers any more.
func (m *making) connect(port netlink.Link) error {
	link, err := netlink.LinkByName(inside)
	if err != nil {
		return fmt.Errorf("look at the link inside: %w", err)
	}
	if mac := macOf(m.want.ID); !bytes.Equal(link.Attrs().HardwareAddr, mac) {
		m.repaired = append(m.repaired, "MAC")
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("set the MAC: %w", err)
		}
	}
	if err := m.set(linkSettings); err != nil {
		return err
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		m.repaired = append(m.repaired, "link up")
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set the link inside up: %w", err)
		}
	}
	if err := m.address(link); err != nil {
		return err
	}
	return m.settle(link)
}

// address sets the services' addresses on the link and removes all others.
func (m *making) address(link netlink.Link) error {
	have, err := netlink.AddrList(link, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	var want, there []netip.Prefix
	for _, s := range m.want.Services {
		want = append(want, netip.PrefixFrom(s.Addr, m.want.Subnet.Bits()))
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

// settle ends the connections that no endpoint answers any more, see flows.
func (m *making) settle(link netlink.Link) error {
	f := flowsOf(m.want.Services)
	if f.services.worseThan(m.stood) {
		m.looks = 2
	}
	m.stood = f.services
	if m.looks == 0 && len(m.former) == 0 {
		return nil
	}
	if !tracks() {
		m.former, m.looks = nil, max(m.looks-1, 0)
		return nil
	}
	gone, err := absent(link.Attrs().Index, m.former)
	if err != nil {
		return err
	}
	f.gone = gone
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f); err != nil {
		return fmt.Errorf("end connections: %w", err)
	}
	for a := range f.former {
		f.former[a] = m.former[a]
	}
	m.former, m.looks = f.former, max(m.looks-1, 0)
	return nil
}

// up sets the host's end up, last of all, and waits until both ends carry packets. The kernel begins with that a moment
// later. A caller whose ARP request is lost meanwhile repeats it only after a second.
func up(host *netlink.Handle, port netlink.Link, ns netns.NsHandle) error {
	name := port.Attrs().Name
	if a := port.Attrs(); a.Flags&net.FlagUp != 0 && a.OperState == netlink.OperUp {
		return nil
	}
	if err := host.LinkSetUp(port); err != nil {
		return fmt.Errorf("set link %s up: %w", name, err)
	}
	if err := carries(func() (netlink.Link, error) { return host.LinkByName(name) }); err != nil {
		return err
	}
	return within(ns, func() error {
		return carries(func() (netlink.Link, error) { return netlink.LinkByName(inside) })
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
