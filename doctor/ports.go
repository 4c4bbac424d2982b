package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

func portsCheck(f Facts) []Finding {
	if found, yes := unseen(f, "ports"); yes {
		return found
	}
	if f.Sockets.Err != nil {
		return []Finding{{"ports", Warning, "not checked: " + f.Sockets.Err.Error(), ""}}
	}
	var found []Finding
	for _, l := range f.Server.Routes.Table.Listeners {
		if bad, is := portFinding(f.Sockets, f.Server.Routes, l); is {
			found = append(found, bad)
		}
	}
	n := len(f.Server.Routes.Table.Listeners)
	if n == 0 {
		return []Finding{{"ports", OK, "none is published", ""}}
	}
	if f.Sockets.ProxyErr != nil {
		found = append(found,
			Finding{"ports", Warning, "can't check that the proxy answers: " + f.Sockets.ProxyErr.Error(),
				"run doctor as root"})
	}
	if len(found) == 0 {
		return []Finding{{"ports", OK, "the proxy answers on " + counted(n, "address", "addresses"), ""}}
	}
	return found
}

// portFinding returns what is wrong with a listener of the table, and whether anything is.
func portFinding(s Sockets, routes rhumb.RouterStatus, l rhumb.Listener) (Finding, bool) {
	name := addressOf(l)
	held := func(proxy bool) bool {
		return slices.ContainsFunc(s.Bound, func(b Socket) bool {
			return b.UDP == (l.Protocol == rhumb.UDP) && sameAddress(b.Addr, l.Addr) && (!proxy || b.Proxy)
		})
	}
	wait := "stop that process (ss -lnp shows it): the proxy keeps trying"
	switch {
	case slices.ContainsFunc(routes.Unbound, func(u rhumb.Listener) bool {
		return u.Addr == l.Addr && (u.Protocol == rhumb.UDP) == (l.Protocol == rhumb.UDP)
	}):
		return Finding{"ports", Problem, name + ": the proxy doesn't have it, because another process held it when the " +
			"proxy started", wait}, true
	case !held(false):
		return Finding{"ports", Problem, name + ": no process listens there",
			"rhumb events and the proxy's log have the reason; is the server on this machine?"}, true
	case s.ProxyErr == nil && !held(true):
		return Finding{"ports", Problem, name + ": another process listens there, not the proxy", wait}, true
	case slices.Contains(s.Mute, l.Addr):
		return Finding{"ports", Problem, name + ": it accepts no connections",
				"proxy.log in the state folder may have the reason"},
			true
	}
	return Finding{}, false
}

// sameAddress reports whether two addresses are the same. All of IPv4 and all of IPv6 count as the same: without
// IPv6, a socket for both is bound to IPv4 only.
func sameAddress(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() &&
		(a.Addr().Unmap() == b.Addr().Unmap() || a.Addr().IsUnspecified() && b.Addr().IsUnspecified())
}

func addressOf(l rhumb.Listener) string {
	p := rhumb.Port{Published: l.Addr.Port(), Protocol: l.Protocol}
	if !l.Addr.Addr().IsUnspecified() {
		p.HostIP = l.Addr.Addr().String()
	}
	return p.Address()
}

func firewallCheck(f Facts) []Finding {
	if found, yes := unseen(f, "firewall"); yes {
		return found
	}
	if f.Firewall.Err != nil {
		return []Finding{{"firewall", Warning, "not checked: " + f.Firewall.Err.Error(),
			"run doctor as root, or check by hand that the INPUT rules accept the published ports"}}
	}
	var found []Finding
	open, some := 0, 0
	for _, l := range f.Server.Routes.Table.Listeners {
		if l.Addr.Addr().IsLoopback() {
			continue
		}
		by, unsure := shut(f.Firewall.Bases, l)
		switch {
		case len(by) > 0:
			found = append(found,
				Finding{"firewall", Problem, addressOf(l) + ": blocked by " + strings.Join(by, " and "), allowHint(by, l)})
		case unsure:
			some++
		default:
			open++
		}
	}
	if len(found) == 0 && open+some == 0 {
		return []Finding{{"firewall", OK, "no port is published to other machines", ""}}
	}
	if len(found) == 0 && some > 0 {
		return []Finding{{"firewall", OK,
			fmt.Sprintf("%s open, %d of them only to some clients, or by rules that doctor can't evaluate",
				counted(open+some, "port", "ports"), some), ""}}
	}
	if len(found) == 0 {
		return []Finding{{"firewall", OK, counted(open, "port is", "ports are") + " open", ""}}
	}
	return found
}

// shut returns the firewalls that drop connections to a listener. unsure means that a firewall may drop some of them.
func shut(bases []Base, l rhumb.Listener) (by []string, unsure bool) {
	protocol := "tcp"
	if l.Protocol == rhumb.UDP {
		protocol = "udp"
	}
	a := l.Addr.Addr()
	for _, b := range bases {
		if !(b.V4 && (a.Is4() || a.IsUnspecified()) || b.V6 && a.Is6()) {
			continue
		}
		p := b.pass(protocol, l.Addr.Port())
		switch {
		case p.verdict == Drop && !p.some:
			by = append(by, b.From)
		case p.verdict == Drop:
			unsure = true
		}
	}
	return by, unsure
}

func allowHint(by []string, l rhumb.Listener) string {
	protocol := "tcp"
	if l.Protocol == rhumb.UDP {
		protocol = "udp"
	}
	port := fmt.Sprintf("%d/%s", l.Addr.Port(), protocol)
	only := "; or publish it on 127.0.0.1, if only this machine uses it"
	switch {
	case slices.ContainsFunc(by, func(s string) bool { return strings.HasSuffix(s, "firewalld") }):
		return "open it: firewall-cmd --permanent --add-port=" + port + " && firewall-cmd --reload" + only
	case strings.HasPrefix(by[0], "nft "):
		return fmt.Sprintf("open it with a rule in that table's input chain: %s dport %d accept%s", protocol, l.Addr.Port(),
			only)
	}
	return fmt.Sprintf("open it: ufw allow %s, or %s -I INPUT -p %s --dport %d -j ACCEPT%s", port, by[0], protocol,
		l.Addr.Port(), only)
}
