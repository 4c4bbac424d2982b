package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"sync"
	"time"

	"rhumb"
)

// lookEvery is how often the keeper looks at the certificates if nothing is due.
const lookEvery = 10 * time.Minute

// Run obtains and renews certificates until ctx ends, and returns once nothing is under way.
func (k *Keeper) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k.mu.Lock()
	k.cancel = cancel
	if k.resting {
		cancel()
	}
	k.mu.Unlock()
	var work sync.WaitGroup
	defer func() {
		work.Wait()
		if c := k.acme.client.Load(); c != nil {
			c.close()
		}
	}()
	for ctx.Err() == nil {
		t := time.NewTimer(time.Until(k.turn(ctx, &work)))
		select {
		case <-ctx.Done():
		case <-k.wake:
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// turn begins all that is due, and returns when the next is.
func (k *Keeper) turn(ctx context.Context, work *sync.WaitGroup) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	next := now.Add(lookEvery)
	for _, h := range k.hosts {
		at := k.due(h)
		switch {
		case at.IsZero() || h.busy:
		case at.After(now):
			if at.Before(next) {
				next = at
			}
		case h.spec.Source == rhumb.CertACME && k.orders >= k.acme.atOnce(k.times):
			// The end of an order nudges the keeper.
		default:
			h.busy = true
			if h.spec.Source == rhumb.CertACME {
				k.orders++
			}
			work.Go(func() { k.get(ctx, h) })
		}
	}
	return next
}

// due returns when something is to be done for a host; zero: never. The caller holds mu.
func (k *Keeper) due(h *host) time.Time {
	at := h.trial.Next
	switch h.spec.Source {
	case rhumb.CertGiven:
		if h.cert != nil && !h.borrowed() {
			return time.Time{}
		}
	case rhumb.CertInternal:
		at = later(at, h.renewal())
	case rhumb.CertACME:
		c := k.acme.client.Load()
		if c == nil {
			return time.Time{}
		}
		at = later(later(at, h.renewal()), k.acme.trial.Next)
	}
	if at.IsZero() {
		at = time.Unix(1, 0) // long ago
	}
	return at
}

// renewal returns when the certificate is renewed; zero if there is none.
func (h *host) renewal() time.Time {
	if h.cert == nil || h.borrowed() {
		return time.Time{}
	}
	return renewAt(h.cert.Leaf.NotBefore, h.cert.Leaf.NotAfter, h.chance)
}

// borrowed reports whether the certificate is from another source than it should be.
func (h *host) borrowed() bool {
	return h.source != h.spec.Source || h.source == rhumb.CertACME && h.issuer == ""
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// get obtains one certificate and notes how it went.
func (k *Keeper) get(ctx context.Context, h *host) {
	k.mu.Lock()
	spec, c := h.spec, k.acme.client.Load()
	k.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, k.times.Order)
	defer cancel()
	cert, err := k.sources.obtain(limited, spec, c)
	kept := context.WithoutCancel(ctx) // how it went is stored even if the keeper ends
	switch {
	case err == nil:
		k.obtained(kept, h, spec, cert, c)
	case ctx.Err() == nil: // what our own end has cut short has not failed
		k.failed(kept, h, spec, err, c)
	}
	k.mu.Lock()
	h.busy = false // not before how it went is stored: the next attempt's outcome must be stored after it
	if spec.Source == rhumb.CertACME {
		k.orders--
	}
	k.mu.Unlock()
	k.nudge()
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// obtained serves a new certificate.
func (k *Keeper) obtained(ctx context.Context, h *host, spec rhumb.Certificate, cert *tls.Certificate, c *client) {
	if k.accept(h, spec, cert, c) {
		k.storeAuthority(ctx, c)
	}
	if spec.Source == rhumb.CertACME {
		k.trials.store(ctx, hostKey(spec.Host), trial{})
	}
	k.log.Info("certificate obtained", "host", spec.Host, "source", spec.Source, "issuer", cert.Leaf.Issuer.CommonName,
		"until", cert.Leaf.NotAfter)
}

// accept serves a new certificate. It reports whether the authority's trial has changed.
func (k *Keeper) accept(h *host, spec rhumb.Certificate, cert *tls.Certificate, c *client) (changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := h.cert
	h.cert, h.source, h.trial = cert, spec.Source, trial{}
	if spec.Source == rhumb.CertACME {
		h.issuer = ""
		// else the authority that is asked now issues one too
		if now := k.acme.client.Load(); now != nil && now.key == c.key {
			h.issuer = c.key
		}
		if old != nil && !cert.Leaf.NotAfter.After(old.Leaf.NotAfter) && h.renewal().Before(time.Now()) {
			h.trial.Next = time.Now().Add(k.times.Retry) // it is due already: don't loop
		}
		changed = k.acme.reached(c)
	}
	k.serving.publish(k.hosts)
	return changed
}

// failed records a failure, of the host or of the authority. The old certificate is still served.
func (k *Keeper) failed(ctx context.Context, h *host, spec rhumb.Certificate, err error, c *client) {
	if spec.Source != rhumb.CertACME {
		k.mu.Lock()
		h.trial = h.trial.failed(time.Now(), err, k.times)
		k.mu.Unlock()
		k.log.Error("no certificate", "host", spec.Host, "source", spec.Source, "err", err)
		return
	}
	tr, next, changed := k.refused(h, err, c)
	if changed {
		k.storeAuthority(ctx, c)
	}
	k.trials.store(ctx, hostKey(spec.Host), tr)
	k.log.Warn("no certificate", "host", spec.Host, "source", spec.Source, "tries", tr.Tries, "next", next, "err", err)
}

// refused counts the failure of an order. It returns the host's trial, when the host is next due, and whether the
// authority's trial has changed.
func (k *Keeper) refused(h *host, err error, c *client) (tr trial, next time.Time, changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	switch blameFor(err) {
	case ofAuthority:
		h.trial.At, h.trial.Error = now, reason(err)
		changed = k.acme.doubt(c, k.acme.trial, err, k.times)
	case ofRate:
		h.trial = h.trial.failed(now, err, k.times)
		changed = k.acme.doubt(c, trial{}, err, k.times) // for a short time: the limit may be this host's alone
	case ofHost:
		h.trial = h.trial.failed(now, err, k.times)
		changed = k.acme.reached(c)
	}
	return h.trial, k.due(h), changed
}

// storeAuthority stores the trial of a client's authority as it is now, so that the last of several calls stores the
// last state. It stores nothing if another authority is asked by now.
func (k *Keeper) storeAuthority(ctx context.Context, c *client) {
	k.storing.Lock()
	defer k.storing.Unlock()
	k.mu.Lock()
	now, t := k.acme.client.Load(), k.acme.trial
	k.mu.Unlock()
	if now != nil && now.key == c.key {
		k.trials.store(ctx, authorityKey(c.key), t)
	}
}

func hostKey(host string) string     { return "trials/hosts/" + host }
func authorityKey(key string) string { return "trials/authorities/" + key }
