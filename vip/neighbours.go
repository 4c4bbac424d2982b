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
func absent(link int, of map[netip.Addr]time.Time) (map[netip.Addr]bool, error) {
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
		default:
			of[a] = time.Time{}
			errs = append(errs, ask(link, a, n.HardwareAddr))
		}
	}
	return gone, errors.Join(errs...)
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
