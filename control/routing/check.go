package routing

import (
	"context"
	"slices"

	"rhumb"
)

// Check reports, before anything changes, whether the proxy can have a model's host ports and hosts. It is Conflict if
// another stack, another process or rhumb itself has one of them, or if a host can't be served over TLS as the model
// asks.
func (d *Desk) Check(ctx context.Context, m *rhumb.Stack) error {
	st, err := d.Status(ctx)
	if err != nil {
		return err
	}
	c := check{desk: d, model: m, table: st.Table, owner: owners(st.Table)}
	for i := range m.Services {
		s := &m.Services[i]
		for _, p := range s.Ports {
			if err := c.port(s, p); err != nil {
				return err
			}
		}
		for _, r := range s.Routes {
			if err := c.route(s, r); err != nil {
				return err
			}
		}
	}
	if hasRoutes(m) && len(st.Table.Rules) == 0 {
		c.fresh = append(c.fresh, rhumb.Listener{Addr: d.entry, Protocol: rhumb.HTTP})
	}
	if err := c.certificates(ctx); err != nil {
		return err
	}
	return d.router.Check(ctx, c.fresh)
}

// check compares a model with the table that the proxy serves.
type check struct {
	desk  *Desk
	model *rhumb.Stack
	table rhumb.Table
	owner map[string]rhumb.Backend // by name
	fresh []rhumb.Listener         // those that the proxy doesn't have yet
}

// port refuses a published port that another stack has, or rhumb's own entry.
func (c *check) port(s *rhumb.Service, p rhumb.Port) error {
	routed := hasRoutes(c.model) || len(c.table.Rules) > 0
	if routed && p.Published == c.desk.entry.Port() && p.Protocol != rhumb.UDP {
		return conflict("service %s: port %d is where routes by host and path are served", s.Name, p.Published).
			WithHint("publish another port, use x-rhumb.routes, or start the server with another --http address")
	}
	l := rhumb.Listener{Addr: bindAddr(p), Protocol: p.Protocol}
	held, by := holder(c.table, c.owner, l)
	if !held {
		c.fresh = append(c.fresh, l)
	} else if by.Stack != c.model.Name {
		return conflict("service %s: port %d is published by %s/%s", s.Name, p.Published, by.Stack, by.Service).
			WithHint("choose another host port, or remove it from %s first", by.Stack)
	}
	return nil
}

// route refuses a route that another stack has.
func (c *check) route(s *rhumb.Service, r rhumb.Route) error {
	if held, by := ruleHolder(c.table, c.owner, r.Address()); held && by.Stack != c.model.Name {
		return conflict("service %s: the route %s belongs to %s/%s", s.Name, r.Address(), by.Stack, by.Service)
	}
	return nil
}

// certificates refuses hosts that can never get their certificate, and an entry for TLS that can't be opened.
func (c *check) certificates(ctx context.Context) error {
	d := c.desk
	if !d.https.IsValid() {
		return nil
	}
	wishes := d.Wishes(c.model.Name, c.model)
	for _, w := range wishes {
		if w.Source == rhumb.CertACME && d.acme == (rhumb.Authority{}) {
			return conflict("%s needs a certificate over ACME, which is off on this server", w.Host).
				WithHint("start the server with --acme-ca, or write x-rhumb.tls: internal")
		}
	}
	entry := rhumb.Listener{Addr: d.https, Protocol: rhumb.HTTPS}
	open := slices.Contains(c.table.Listeners, entry)
	if len(wishes) == 0 && !open {
		return nil
	}
	for _, s := range c.model.Services {
		for _, p := range s.Ports {
			if p.Protocol != rhumb.UDP && overlap(bindAddr(p), d.https) {
				return conflict("service %s: port %d is where hosts are served over TLS", s.Name, p.Published).
					WithHint(withoutTLS)
			}
		}
	}
	if open {
		return nil
	}
	return c.openable(ctx, wishes[0].Host, entry)
}

// openable refuses the entry for TLS, which a host needs, if a stack or another process has its address.
func (c *check) openable(ctx context.Context, host string, entry rhumb.Listener) error {
	for _, l := range c.table.Listeners {
		if overlap(l.Addr, entry.Addr) && l.Protocol != rhumb.UDP {
			by := c.owner[l.Backend]
			const words = "%s can't be served over TLS: port %d is published by %s/%s"
			return conflict(words, host, entry.Addr.Port(), by.Stack, by.Service).WithHint(withoutTLS)
		}
	}
	if err := c.desk.router.Check(ctx, []rhumb.Listener{entry}); err != nil {
		return rhumb.Errorf(rhumb.ErrorCode(err), "%s can't be served over TLS: %w", host, err).WithHint(withoutTLS)
	}
	return nil
}

func conflict(words string, args ...any) *rhumb.Error {
	return rhumb.Errorf(rhumb.Conflict, words, args...)
}

const withoutTLS = "write x-rhumb.tls: off, or start the server with another --https address, " +
	`or with --https "" for none`

func hasRoutes(m *rhumb.Stack) bool {
	return slices.ContainsFunc(m.Services, func(s rhumb.Service) bool { return len(s.Routes) > 0 })
}

// holder returns the owner of the listener that clashes with l, and false if none does.
func holder(t rhumb.Table, owner map[string]rhumb.Backend, l rhumb.Listener) (bool, rhumb.Backend) {
	for _, x := range t.Listeners {
		if x.Backend != "" && sameWire(x.Protocol, l.Protocol) && overlap(x.Addr, l.Addr) {
			return true, owner[x.Backend]
		}
	}
	return false, rhumb.Backend{}
}

// ruleHolder returns the owner of the rule for a route's address, and false if there is none.
func ruleHolder(t rhumb.Table, owner map[string]rhumb.Backend, addr string) (bool, rhumb.Backend) {
	i := slices.IndexFunc(t.Rules, func(x rhumb.Rule) bool { return ruleAddress(x) == addr })
	if i < 0 {
		return false, rhumb.Backend{}
	}
	return true, owner[t.Rules[i].Backend]
}
