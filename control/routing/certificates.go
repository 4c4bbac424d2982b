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

// certificates returns the certificates that the services of a model wish for the hosts of their routes, sorted by
// host. Of two services that share a host, the one with TLS settings counts; compose refuses two with different
// settings.
func certificates(stack string, m *rhumb.Stack, acme bool) []rhumb.Certificate {
	if m == nil {
		return nil
	}
	byHost := map[string]rhumb.Certificate{}
	set := map[string]bool{} // hosts whose certificate comes from TLS settings
	for _, s := range m.Services {
		for _, route := range s.Routes {
			if route.Host == "" || set[route.Host] {
				continue
			}
			set[route.Host] = s.TLS != rhumb.TLS{}
			byHost[route.Host] = certificateOf(stack, route.Host, s.TLS, acme)
		}
	}
	maps.DeleteFunc(byHost, func(_ string, c rhumb.Certificate) bool { return c.Source == rhumb.CertOff })
	return slices.SortedFunc(maps.Values(byHost), byHostName)
}

func byHostName(a, b rhumb.Certificate) int { return cmp.Compare(a.Host, b.Host) }

func certificateOf(stack, host string, t rhumb.TLS, acme bool) rhumb.Certificate {
	c := rhumb.Certificate{Host: host, Source: t.Source, Given: t.Given, Stack: stack, HSTS: t.HSTS}
	if c.Source == "" {
		c.Source = rhumb.CertSourceOf(host, acme)
		// A redirect to HTTPS would show a warning to visitors who don't trust the internal authority.
		c.Plain = c.Source == rhumb.CertInternal
	}
	if t.Plain != nil {
		c.Plain = *t.Plain
	}
	return c
}

// Wishes returns the certificates that a stack's model (nil: none) asks for. Without TLS there are none.
func (d *Desk) Wishes(stack string, m *rhumb.Stack) []rhumb.Certificate {
	if !d.https.IsValid() {
		return nil
	}
	return certificates(stack, m, d.acme != rhumb.Authority{})
}

// Has reports whether the proxy has exactly these wishes of the stack. It reports false when it is time to try again to
// open the entry for TLS, after that could not be bound.
func (d *Desk) Has(stack string, wishes []rhumb.Certificate) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	had, ok := d.wishes[stack]
	again := !d.httpsFrom.IsZero() && !time.Now().Before(d.httpsFrom)
	return ok && d.handed[stack] && !again && slices.Equal(had, wishes)
}

// Certify makes these the certificates of those hosts of the stack that have routes: now, and with each later change of
// the table.
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

// certify fills in the certificates. After a start of the daemon, a stack keeps the certificates that it has in the
// table until its wishes are known. A host belongs to the stack that had it first. The caller holds mu.
func (d *Desk) certify(t *rhumb.Table) {
	if !d.https.IsValid() {
		t.Certificates, t.Authority = nil, rhumb.Authority{}
		return
	}
	t.Authority = d.acme
	routed := map[[2]string]bool{} // by stack and host
	owner := owners(*t)
	for _, r := range t.Rules {
		routed[[2]string{owner[r.Backend].Stack, r.Host}] = true
	}
	var next []rhumb.Certificate
	taken := map[string]bool{}
	add := func(c rhumb.Certificate) {
		if routed[[2]string{c.Stack, c.Host}] && !taken[c.Host] {
			taken[c.Host] = true
			next = append(next, c)
		}
	}
	for _, c := range t.Certificates {
		wishes, known := d.wishes[c.Stack]
		i := slices.IndexFunc(wishes, func(w rhumb.Certificate) bool { return w.Host == c.Host })
		if i >= 0 {
			add(wishes[i])
		} else if !known {
			add(c)
		}
	}
	for _, stack := range slices.Sorted(maps.Keys(d.wishes)) {
		for _, c := range d.wishes[stack] {
			add(c)
		}
	}
	slices.SortFunc(next, byHostName)
	t.Certificates = next
}

// openHTTPS adds the entry for TLS while there are certificates, unless a stack has its address. If another process was
// found to have it, openHTTPS waits until httpsFrom.
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

// overlap reports whether two addresses can't both be bound.
func overlap(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// httpsPause is how long the desk waits before it tries again to open the entry for TLS.
const httpsPause = 10 * time.Second

// withoutHTTPS returns t without the entry for TLS, and false if t doesn't open it. Other changes must not fail because
// that address can't be bound.
func (d *Desk) withoutHTTPS(t, served rhumb.Table) (less rhumb.Table, ok bool) {
	entry := rhumb.Listener{Addr: d.https, Protocol: rhumb.HTTPS}
	if !slices.Contains(t.Listeners, entry) || slices.Contains(served.Listeners, entry) {
		return t, false
	}
	d.httpsFrom = time.Now().Add(httpsPause)
	t.Listeners = slices.DeleteFunc(slices.Clone(t.Listeners), func(l rhumb.Listener) bool { return l == entry })
	return t, true
}
