package certs

import (
	"context"
	"sync/atomic"
	"time"

	"rhumb"
)

// asked is the ACME authority that is asked for certificates. The keeper's lock guards its trial.
type asked struct {
	client atomic.Pointer[client] // nil: there is none
	trial  trial                  // of the authority as a whole
}

// chosen is the authority that a table has the keeper ask.
type chosen struct {
	client *client // nil: there is none
	other  bool    // it is another authority than the one before
	trial  trial   // of the other authority
}

// choose returns the table's authority. Its client is the present one if that does. The caller doesn't hold the
// keeper's lock.
func (a *asked) choose(ctx context.Context, m *trials, t rhumb.Table) chosen {
	var e entries
	for _, l := range t.Listeners {
		switch {
		case l.Protocol == rhumb.HTTP && l.Backend == "":
			e.http = l.Addr
		case l.Protocol == rhumb.HTTPS:
			e.https = l.Addr
		}
	}
	old := a.client.Load()
	switch {
	case t.Authority == (rhumb.Authority{}) || !e.http.IsValid() && !e.https.IsValid():
		return chosen{}
	case old != nil && old.authority == t.Authority && old.entries == e:
		return chosen{client: old}
	}
	c := chosen{client: newClient(m.storage, t.Authority, e)}
	if c.other = old == nil || old.key != c.client.key; c.other {
		c.trial = m.load(ctx, authorityKey(c.client.key))
	}
	return c
}

// atOnce is how many orders may be under way. While the authority is in doubt, one order finds out.
func (a *asked) atOnce(times Times) int {
	if a.trial.Tries > 0 {
		return 1
	}
	return times.AtOnce
}

// doubt stops all orders at the client's authority for a while, and then has one host try alone. It reports whether the
// trial has changed.
func (a *asked) doubt(c *client, before trial, err error, times Times) bool {
	now := time.Now()
	if c == nil || c != a.client.Load() || !a.trial.Next.Before(now) {
		return false // orders that were under way together count once
	}
	a.trial = before.failed(now, err, times)
	return true
}

// reached forgets the failures of the client's authority, because it answers. It reports whether there were any.
func (a *asked) reached(c *client) bool {
	if c == nil || c != a.client.Load() || a.trial.Tries == 0 {
		return false
	}
	a.trial = trial{}
	return true
}
