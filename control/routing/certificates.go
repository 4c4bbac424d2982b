package routing

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

// certificates gives what the services of a model wish for the hosts of their routes, by host. Where two services share a
// host, one that says something counts; compose refuses two that say different things.
func certificates(stack string, m *rhumb.Stack, acme bool) []rhumb.Certificate {
	if m == nil {
		return nil
	}
	byHost := map[string]rhumb.Certificate{}
	said := map[string]bool{}
	for _, s := range m.Services {
		for _, route := range s.Routes {
			if route.Host == "" || said[route.Host] {
				continue
			}
			said[route.Host] = s.TLS != rhumb.TLS{}
			byHost[route.Host] = certificateOf(stack, route.Host, s.TLS, acme)
		}
	}
	maps.DeleteFunc(byHost, func(_ string, c rhumb.Certificate) bool { return c.Source == rhumb.CertOff })
	return slices.SortedFunc(maps.Values(byHost), func(a, b rhumb.Certificate) int { return cmp.Compare(a.Host, b.Host) })
}

func certificateOf(stack, host string, t rhumb.TLS, acme bool) rhumb.Certificate {
	c := rhumb.Certificate{Host: host, Source: t.Source, Given: t.Given, Stack: stack, HSTS: t.HSTS}
	if c.Source == "" {
		c.Source = rhumb.CertSourceOf(host, acme)
		c.Plain = c.Source == rhumb.CertInternal // visitors who don't know the authority must not be led into a warning that nobody asked for
	}
	if t.Plain != nil {
		c.Plain = *t.Plain
	}
	return c
}

// Wishes gives the certificates that a stack's model (nil: none) asks for; without TLS there are none.
func (d *Desk) Wishes(stack string, m *rhumb.Stack) []rhumb.Certificate {
	if !d.https.IsValid() {
		return nil
	}
	return certificates(stack, m, d.acme != rhumb.Authority{})
}

// Has tells whether the desk has just these wishes of the stack, and has handed them on. An entry for TLS that could not be bound is to be
// tried again after a pause.
func (d *Desk) Has(stack string, wishes []rhumb.Certificate) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	had, ok := d.wishes[stack]
	again := !d.httpsFrom.IsZero() && !time.Now().Before(d.httpsFrom)
	return ok && d.handed[stack] && !again && slices.Equal(had, wishes)
}

// Certify makes these the certificates of the stack's hosts, as far as routes lead to them: now, and at each later change.
func (d *Desk) Certify(ctx context.Context, stack string, wishes []rhumb.Certificate) error {
	d.mu.Lock()
	if d.wishes == nil {
		d.wishes, d.handed = map[string][]rhumb.Certificate{}, map[string]bool{}
	}
	d.wishes[stack], d.handed[stack] = wishes, false
	d.mu.Unlock()
	if err := d.Edit(ctx, func(*rhumb.Table) {}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handed[stack] = true
	return nil
}

// certify fills in the certificates. A stack that has said nothing yet, because the daemon has just begun, keeps what it has. A host belongs
// to the stack that had it first. The caller holds mu.
func (d *Desk) certify(t *rhumb.Table) {
	if !d.https.IsValid() {
		t.Certificates, t.Authority = nil, rhumb.Authority{}
		return
	}
	t.Authority = d.acme
	led := map[[2]string]bool{} // by stack and host
	owner := owners(*t)
	for _, r := range t.Rules {
		led[[2]string{owner[r.Backend].Stack, r.Host}] = true
	}
	var next []rhumb.Certificate
	taken := map[string]bool{}
	add := func(c rhumb.Certificate) {
		if led[[2]string{c.Stack, c.Host}] && !taken[c.Host] {
			taken[c.Host] = true
			next = append(next, c)
		}
	}
	for _, c := range t.Certificates {
		wishes, spoken := d.wishes[c.Stack]
		i := slices.IndexFunc(wishes, func(w rhumb.Certificate) bool { return w.Host == c.Host })
		if i >= 0 {
			add(wishes[i])
		} else if !spoken {
			add(c)
		}
	}
	for _, stack := range slices.Sorted(maps.Keys(d.wishes)) {
		for _, c := range d.wishes[stack] {
			add(c)
		}
	}
	slices.SortFunc(next, func(a, b rhumb.Certificate) int { return cmp.Compare(a.Host, b.Host) })
	t.Certificates = next
}

// openHTTPS adds the entry for TLS while there are certificates to serve, unless its address is a stack's or, as was found out a moment
// ago, somebody else's.
func (d *Desk) openHTTPS(t *rhumb.Table) {
	if time.Now().Before(d.httpsFrom) {
		return
	}
	d.httpsFrom = time.Time{}
	if len(t.Certificates) == 0 {
		return
	}
	for _, l := range t.Listeners {
		if overlap(l.Addr, d.https) && l.Protocol != rhumb.UDP {
			return
		}
	}
	t.Listeners = append(t.Listeners, rhumb.Listener{Addr: d.https, Protocol: rhumb.HTTPS})
}

// overlap tells whether two addresses can't be bound beside one another.
func overlap(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// httpsPause is how long the other addresses are changed without the entry for TLS once that could not be bound.
const httpsPause = 10 * time.Second

// withoutHTTPS gives the table without the entry for TLS, if it is new in t: that it can't be had must not keep all else from changing.
func (d *Desk) withoutHTTPS(t, served rhumb.Table) (rhumb.Table, bool) {
	entry := rhumb.Listener{Addr: d.https, Protocol: rhumb.HTTPS}
	if !slices.Contains(t.Listeners, entry) || slices.Contains(served.Listeners, entry) {
		return t, false
	}
	d.httpsFrom = time.Now().Add(httpsPause)
	t.Listeners = slices.DeleteFunc(slices.Clone(t.Listeners), func(l rhumb.Listener) bool { return l == entry })
	return t, true
}
