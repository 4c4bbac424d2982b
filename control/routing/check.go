package routing

import (
	"context"
	"slices"

	"rhumb"
)

// checkCertificates refuses what could never get a certificate, and finds out whether the entry for TLS can be had.
func (d *Desk) checkCertificates(ctx context.Context, m *rhumb.Stack, served rhumb.Table) error {
	if !d.https.IsValid() {
		return nil
	}
	wishes := d.Wishes(m.Name, m)
	for _, w := range wishes {
		if w.Source == rhumb.CertACME && d.acme == (rhumb.Authority{}) {
			return rhumb.Errorf(rhumb.Conflict, "%s wants a certificate over ACME, which this server has off", w.Host).
				WithHint("start the server with --acme-ca, or write x-rhumb.tls: internal")
		}
	}
	entry := rhumb.Listener{Addr: d.https, Protocol: rhumb.HTTPS}
	serving := slices.Contains(served.Listeners, entry)
	if len(wishes) == 0 && !serving {
		return nil
	}
	for _, s := range m.Services {
		for _, p := range s.Ports {
			if p.Protocol != rhumb.UDP && overlap(bindAddr(p), d.https) {
				return rhumb.Errorf(rhumb.Conflict, "service %s: port %d is where hosts are served over TLS", s.Name, p.Published).WithHint(withoutTLS)
			}
		}
	}
	if serving {
		return nil
	}
	owner := owners(served)
	for _, l := range served.Listeners {
		if overlap(l.Addr, d.https) && l.Protocol != rhumb.UDP {
			b := owner[l.Backend]
			return rhumb.Errorf(rhumb.Conflict, "%s can't be served over TLS: port %d is published by %s/%s", wishes[0].Host, d.https.Port(), b.Stack, b.Service).
				WithHint(withoutTLS)
		}
	}
	if err := d.router.Check(ctx, []rhumb.Listener{entry}); err != nil {
		return rhumb.Errorf(rhumb.ErrorCode(err), "%s can't be served over TLS: %w", wishes[0].Host, err).WithHint(withoutTLS)
	}
	return nil
}

const withoutTLS = `write x-rhumb.tls: off, or start the server with another --https address, or with --https "" for none`

// Check finds out, before anything changes, whether the model's host ports and hosts can be had.
func (d *Desk) Check(ctx context.Context, m *rhumb.Stack) error {
	st, err := d.Status(ctx)
	if err != nil {
		return err
	}
	owner := owners(st.Table)
	var fresh []rhumb.Listener
	for _, s := range m.Services {
		for _, p := range s.Ports {
			l := rhumb.Listener{Addr: bindAddr(p), Protocol: p.Protocol}
			if p.Published == d.entry.Port() && p.Protocol != rhumb.UDP && (hasRoutes(m) || len(st.Table.Rules) > 0) {
				return rhumb.Errorf(rhumb.Conflict, "service %s: port %d is where routes by host and path are served", s.Name, p.Published).
					WithHint("publish another port, use x-rhumb.routes, or start the server with another --http address")
			}
			held, other := holder(st.Table, owner, l)
			if held && other.Stack != m.Name {
				return rhumb.Errorf(rhumb.Conflict, "service %s: port %d is published by %s/%s", s.Name, p.Published, other.Stack, other.Service).
					WithHint("choose another host port, or take it away from %s first", other.Stack)
			}
			if !held {
				fresh = append(fresh, l)
			}
		}
		for _, rt := range s.Routes {
			if held, b := ruleHolder(st.Table, owner, rt.Address()); held && b.Stack != m.Name {
				return rhumb.Errorf(rhumb.Conflict, "service %s: the route %s belongs to %s/%s", s.Name, rt.Address(), b.Stack, b.Service)
			}
		}
	}
	if hasRoutes(m) && len(st.Table.Rules) == 0 {
		fresh = append(fresh, rhumb.Listener{Addr: d.entry, Protocol: rhumb.HTTP})
	}
	if err := d.checkCertificates(ctx, m, st.Table); err != nil {
		return err
	}
	return d.router.Check(ctx, fresh)
}

func hasRoutes(m *rhumb.Stack) bool {
	return slices.ContainsFunc(m.Services, func(s rhumb.Service) bool { return len(s.Routes) > 0 })
}

// holder finds the listener of the table that clashes with l.
func holder(t rhumb.Table, owner map[string]rhumb.Backend, l rhumb.Listener) (bool, rhumb.Backend) {
	for _, x := range t.Listeners {
		a, b := x.Addr.Addr(), l.Addr.Addr()
		if x.Addr.Port() == l.Addr.Port() && sameWire(x.Protocol, l.Protocol) && x.Backend != "" && (a == b || a.IsUnspecified() || b.IsUnspecified()) {
			return true, owner[x.Backend]
		}
	}
	return false, rhumb.Backend{}
}

// ruleHolder finds the rule of the table for a route's address.
func ruleHolder(t rhumb.Table, owner map[string]rhumb.Backend, addr string) (bool, rhumb.Backend) {
	i := slices.IndexFunc(t.Rules, func(x rhumb.Rule) bool { return ruleAddress(x) == addr })
	if i < 0 {
		return false, rhumb.Backend{}
	}
	return true, owner[t.Rules[i].Backend]
}
