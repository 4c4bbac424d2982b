package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// silentTime is how long an address may leave requests unanswered. The kernel asks three times in 600 ms, and starts
// over whenever a packet is on its way.
const silentTime = time.Second

// absent returns the addresses at which no host answers, as far as the kernel knows. It has the kernel ask again about
// the others, so that the next call knows. It looks in the namespace of the calling thread, and notes in of since when
// an address is silent.
func absent(cs []cable, of map[netip.Addr]time.Time) (map[netip.Addr]bool, error) {
	if len(of) == 0 {
		return nil, nil
	}
	known := map[netip.Addr]netlink.Neigh{}
	links := map[netip.Addr]int{}
	for _, c := range cs {
		if err := neighbours(c, of, known, links); err != nil {
			return nil, err
		}
	}
	gone := map[netip.Addr]bool{}
	var errs []error
	for a, silent := range of {
		n, found := known[a]
		switch {
		case found && n.State&unix.NUD_FAILED != 0:
			gone[a] = true
		case found && n.State&unix.NUD_INCOMPLETE != 0 && silent.IsZero():
			of[a] = time.Now()
		case found && n.State&unix.NUD_INCOMPLETE != 0:
			gone[a] = time.Since(silent) > silentTime
		case found && n.State&unix.NUD_PROBE != 0: // being asked
		case links[a] == 0: // the leg to it is gone
			gone[a] = true
		default:
			of[a] = time.Time{}
			errs = append(errs, ask(links[a], a, n.HardwareAddr))
		}
	}
	return gone, errors.Join(errs...)
}

// neighbours adds what the kernel knows of these addresses in a cable's network, and the link by which it reaches them.
func neighbours(
	c cable, of map[netip.Addr]time.Time, known map[netip.Addr]netlink.Neigh, links map[netip.Addr]int,
) error {
	link, err := netlink.LinkByName(c.inside)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the link inside: %w", err)
	}
	ns, err := netlink.NeighList(link.Attrs().Index, unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list neighbours: %w", err)
	}
	for a := range of {
		if c.subnet.Contains(a) {
			links[a] = link.Attrs().Index
		}
	}
	for _, n := range ns {
		if a, ok := netip.AddrFromSlice(n.IP); ok && c.subnet.Contains(a.Unmap()) {
			known[a.Unmap()] = n
		}
	}
	return nil
}

// ask has the kernel send a request for the address's MAC.
func ask(link int, a netip.Addr, mac net.HardwareAddr) error {
	n := &netlink.Neigh{LinkIndex: link, Family: unix.AF_INET, IP: a.AsSlice(), Flags: unix.NTF_USE,
		State: unix.NUD_NONE}
	if mac != nil {
		n.HardwareAddr, n.Flags, n.State = mac, 0, unix.NUD_PROBE
	}
	if err := netlink.NeighSet(n); err != nil {
		return fmt.Errorf("ask for neighbour %s: %w", a, err)
	}
	return nil
}
