// Package routing changes the routing table. The desk sends changes to the proxy; each change is a pure function of the
// table.
package routing

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Desk is the one place where the routing table is changed. It keeps no table of its own: every change is made to the
// table that the proxy serves, so a restart of the proxy or of the daemon needs no special case.
type Desk struct {
	router rhumb.Router
	entry  netip.AddrPort  // for routes by host and path
	https  netip.AddrPort  // the zero value: no TLS
	acme   rhumb.Authority // the zero value: off

	outgoing func() (from, to uint16) // the ports that the kernel uses for outgoing connections

	waiting changes
	mu      sync.Mutex // one exchange with the proxy at a time

	wishes    map[string][]rhumb.Certificate // by stack
	handed    map[string]bool                // the stacks whose wishes the proxy has
	httpsFrom time.Time                      // when to try again to open the entry for TLS, after it could not be bound
}

// NewDesk returns the desk of a router. Routes by host and path are served at entry, and over TLS at https (the zero
// value: nowhere). Certificates come from acme (the zero value: ACME is off).
func NewDesk(r rhumb.Router, entry, https netip.AddrPort, acme rhumb.Authority) *Desk {
	return &Desk{router: r, entry: entry, https: https, acme: acme, outgoing: outgoing}
}

// routeTimeout limits one exchange with the proxy.
const routeTimeout = 10 * time.Second

// Edit applies a change and returns once the proxy serves it. Nothing is sent if edit changes nothing. Changes that
// wait for each other are sent together. If the proxy refuses them together, each is sent alone and edit is called
// again, so edit must depend on nothing but the table and the time. Errors are the router's: Conflict for an address
// that the proxy can't have, Unavailable if the proxy doesn't answer.
func (d *Desk) Edit(ctx context.Context, edit func(*rhumb.Table)) error {
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	own := &change{edit: edit}
	d.waiting.add(own)
	d.mu.Lock()
	defer d.mu.Unlock()
	if own.done {
		return nil
	}
	if !own.taken {
		cs := d.waiting.take()
		if err := d.send(ctx, cs...); err == nil || len(cs) == 1 || ctx.Err() != nil {
			return err
		}
	}
	return d.send(ctx, own)
}

// send has the proxy serve a table with these changes. The caller holds mu.
func (d *Desk) send(ctx context.Context, cs ...*change) error {
	st, err := d.router.Status(ctx)
	if err != nil {
		return err
	}
	t := st.Table.Clone()
	for _, c := range cs {
		c.edit(&t)
	}
	prune(&t)
	d.certify(&t)
	d.openEntry(&t)
	arrange(&t)
	if err := d.apply(ctx, t, st.Table); err != nil {
		return err
	}
	for _, c := range cs {
		c.done = true
	}
	return nil
}

// apply has the proxy serve t instead of served. If another process has the address for TLS, that entry is left out.
func (d *Desk) apply(ctx context.Context, t, served rhumb.Table) error {
	if sameTable(t, served) {
		return nil
	}
	t.Version++
	err := d.router.Apply(ctx, t)
	if rhumb.ErrorCode(err) != rhumb.Conflict {
		return err
	}
	less, ok := d.withoutHTTPS(t, served)
	switch {
	case !ok:
		return err
	case sameTable(less, served):
		return nil
	}
	return d.router.Apply(ctx, less)
}

// change is a change that a caller of Edit waits for. The desk's mu guards its fields.
type change struct {
	edit  func(*rhumb.Table)
	taken bool // it was sent, together with others
	done  bool // the proxy serves it
}

// changes are the changes that wait to be sent.
type changes struct {
	mu  sync.Mutex
	all []*change
}

func (q *changes) add(c *change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, c)
}

// take removes and returns all changes that wait, in order.
func (q *changes) take() []*change {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all = nil
	for _, c := range all {
		c.taken = true
	}
	return all
}

// Status returns what the proxy serves.
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
