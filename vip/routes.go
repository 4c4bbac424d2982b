package vip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What arrives for a service address and isn't routed to a replica must get lost. It must not reach the namespace's own
// kernel, which would reset the connection. There are such packets whenever the rules are missing: removed by hand, or
// while the namespace is being removed. A lost packet is sent again. So packets from the network look in a table of
// their own before that of local addresses, and find the service addresses behind a link that ends nowhere. The
// namespace answers ARP for them as a router does (proxy ARP).
const (
	nowhere   = "nowhere"
	ownTable  = 100
	ownRank   = 10
	localRank = 20
)

// rank is a rule that says where packets look for their route.
type rank struct {
	priority, table int
	from            string // a link; "": any
}

// rank has packets from each network look in our table first.
func (m *making) rank() error {
	have, err := netlink.RuleList(unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list routing rules: %w", err)
	}
	want := []rank{{localRank, unix.RT_TABLE_LOCAL, ""}}
	for _, c := range m.cables {
		want = append(want, rank{ownRank, ownTable, c.inside})
	}
	for _, w := range want {
		if slices.ContainsFunc(have, func(r netlink.Rule) bool {
			return w == rank{r.Priority, r.Table, r.IifName}
		}) {
			continue
		}
		m.repaired = append(m.repaired, "routing rule")
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table, r.IifName = unix.AF_INET, w.priority, w.table, w.from
		if err := netlink.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add a routing rule: %w", err)
		}
	}
	for _, r := range have {
		first := r.Priority == 0 && r.Table == unix.RT_TABLE_LOCAL
		if first || r.Priority == ownRank && !slices.Contains(want, rank{r.Priority, r.Table, r.IifName}) {
			r.Family = unix.AF_INET
			if err := netlink.RuleDel(&r); err != nil {
				return fmt.Errorf("rank the routing rules: %w", err)
			}
		}
	}
	return nil
}

// route routes the addresses of all cables to the link nowhere.
func (m *making) route() error {
	link, err := m.nowhere()
	if err != nil {
		return err
	}
	have, err := netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{Table: ownTable}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	there := map[netip.Addr]bool{}
	for _, r := range have {
		if a, ok := netip.AddrFromSlice(r.Dst.IP.To4()); ok && r.LinkIndex == link.Attrs().Index {
			there[a] = true
		}
	}
	for _, c := range m.cables {
		for _, a := range c.addrs {
			if there[a] {
				delete(there, a)
				continue
			}
			m.repaired = append(m.repaired, "route of "+a.String())
			if err := netlink.RouteReplace(to(a, link)); err != nil {
				return fmt.Errorf("add the route of %s: %w", a, err)
			}
		}
	}
	for a := range there {
		if err := netlink.RouteDel(to(a, link)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove the route of %s: %w", a, err)
		}
	}
	return nil
}

func to(a netip.Addr, link netlink.Link) *netlink.Route {
	return &netlink.Route{LinkIndex: link.Attrs().Index, Table: ownTable, Scope: unix.RT_SCOPE_LINK,
		Dst: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
}

// nowhere returns the link that ends nowhere: one end of a pair of which the other is down. It asks for no MAC, which
// would end in the answer that the host can't be reached. (A bridge without ports would do as well, but when a
// namespace is removed, bridges are removed before other links.)
func (m *making) nowhere() (netlink.Link, error) {
	link, err := netlink.LinkByName(nowhere)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		m.repaired = append(m.repaired, "link nowhere")
		attrs := netlink.NewLinkAttrs()
		attrs.Name = nowhere
		v := netlink.NewVeth(attrs)
		v.PeerName = nowhere + "-end"
		if err := netlink.LinkAdd(v); err != nil {
			return nil, fmt.Errorf("make the link nowhere: %w", err)
		}
		link, err = netlink.LinkByName(nowhere)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the link nowhere: %w", err)
	}
	if a := link.Attrs(); a.Flags&net.FlagUp != 0 && a.RawFlags&unix.IFF_NOARP != 0 {
		return link, nil
	}
	if err := errors.Join(netlink.LinkSetARPOff(link), netlink.LinkSetUp(link)); err != nil {
		return nil, fmt.Errorf("set the link nowhere up: %w", err)
	}
	return link, nil
}
