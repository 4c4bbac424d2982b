// Package routing keeps the routing table: the desk at which it is changed, and the changes, which are pure functions.
package routing

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Desk is the one place where the routing table is changed. It keeps no table of its own: every change is made on
// the one the proxy serves, so that a proxy or a daemon that starts anew is the ordinary case.
type Desk struct {
	router rhumb.Router
	entry  netip.AddrPort
	https  netip.AddrPort  // the zero value: no TLS
	acme   rhumb.Authority // the zero value: off
	mu     sync.Mutex

	wishes    map[string][]rhumb.Certificate // by stack
	handed    map[string]bool                // the stacks whose wishes the proxy has
	httpsFrom time.Time                      // when the entry for TLS is tried again
}

// NewDesk makes the desk of a router. Routes by host and path are served at entry, and at https over TLS (the zero value: nowhere) with
// certificates of acme (the zero value: of none).
func NewDesk(r rhumb.Router, entry, https netip.AddrPort, acme rhumb.Authority) *Desk {
	return &Desk{router: r, entry: entry, https: https, acme: acme}
}

// routeTimeout limits one exchange with the proxy.
const routeTimeout = 10 * time.Second

// Edit applies a change and returns once the proxy serves it. Nothing is sent if edit changes nothing.
func (d *Desk) Edit(ctx context.Context, edit func(*rhumb.Table)) error {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	st, err := d.router.Status(ctx)
	if err != nil {
		return err
	}
	t := cloneTable(st.Table)
	edit(&t)
	prune(&t)
	d.certify(&t)
	d.openEntry(&t)
	arrange(&t)
	if sameTable(t, st.Table) {
		return nil
	}
	t.Version++
	err = d.router.Apply(ctx, t)
	if rhumb.ErrorCode(err) == rhumb.Conflict {
		if less, ok := d.withoutHTTPS(t, st.Table); ok {
			return d.router.Apply(ctx, less)
		}
	}
	return err
}

// Status gives what the proxy serves.
func (d *Desk) Status(ctx context.Context) (rhumb.RouterStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	return d.router.Status(ctx)
}

// openEntry listens for routes by host and path while there are any.
func (d *Desk) openEntry(t *rhumb.Table) {
	t.Listeners = slices.DeleteFunc(t.Listeners, func(l rhumb.Listener) bool { return l.Backend == "" })
	if len(t.Rules) > 0 {
		t.Listeners = append(t.Listeners, rhumb.Listener{Addr: d.entry, Protocol: rhumb.HTTP})
	}
	d.openHTTPS(t)
}
