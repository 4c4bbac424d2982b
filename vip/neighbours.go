package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// absent tells at which of the addresses nobody answers, as far as the kernel knows already, and has it ask anew about the others: the
// next call knows. It looks in the namespace of the calling thread.
func absent(link int, of map[netip.Addr]bool) (map[netip.Addr]bool, error) {
	if len(of) == 0 {
		return nil, nil
	}
	ns, err := netlink.NeighList(link, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	known := map[netip.Addr]netlink.Neigh{}
	for _, n := range ns {
		if a, ok := netip.AddrFromSlice(n.IP); ok {
			known[a.Unmap()] = n
		}
	}
	gone := map[netip.Addr]bool{}
	var errs []error
	for a := range of {
		n, found := known[a]
		switch {
		case found && n.State&unix.NUD_FAILED != 0:
			gone[a] = true
		case found && n.State&(unix.NUD_INCOMPLETE|unix.NUD_PROBE) != 0: // being asked
		default:
			errs = append(errs, ask(link, a, n.HardwareAddr))
		}
	}
	return gone, errors.Join(errs...)
}

// ask has the kernel send a request for the address's MAC.
func ask(link int, a netip.Addr, mac net.HardwareAddr) error {
	n := &netlink.Neigh{LinkIndex: link, Family: unix.AF_INET, IP: a.AsSlice(), Flags: unix.NTF_USE, State: unix.NUD_NONE}
	if mac != nil {
		n.HardwareAddr, n.Flags, n.State = mac, 0, unix.NUD_PROBE
	}
	if err := netlink.NeighSet(n); err != nil {
		return fmt.Errorf("ask for neighbour %s: %w", a, err)
	}
	return nil
}
