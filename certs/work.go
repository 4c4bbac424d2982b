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
		if c := k.client.Load(); c != nil {
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
		case h.spec.Source == rhumb.CertACME && k.orders >= k.atOnce():
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

// atOnce is how many orders may be under way. While the authority is in doubt, one order finds out. The caller holds
// mu.
func (k *Keeper) atOnce() int {
	if k.authority.Tries > 0 {
		return 1
	}
	return k.times.AtOnce
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
		c := k.client.Load()
		if c == nil {
			return time.Time{}
		}
		at = later(later(at, h.renewal()), k.authority.Next)
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
	spec, c := h.spec, k.client.Load()
	k.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, k.times.Order)
	defer cancel()
	cert, err := k.sources.obtain(limited, spec, c)
	kept := context.WithoutCancel(ctx) // how it went is stored even if the keeper ends
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.nudge()
	h.busy = false
	if spec.Source == rhumb.CertACME {
		k.orders--
	}
	switch {
	case err == nil:
		k.obtained(kept, h, spec, cert, c)
	case ctx.Err() == nil: // what our own end has cut short has not failed
		k.failed(kept, h, spec, err, c)
	}
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// obtained serves a new certificate. The caller holds mu.
func (k *Keeper) obtained(ctx context.Context, h *host, spec rhumb.Certificate, cert *tls.Certificate, c *client) {
	old := h.cert
	h.cert, h.source, h.trial = cert, spec.Source, trial{}
	if spec.Source == rhumb.CertACME {
		h.issuer = ""
		// else the authority that is asked now issues one too
		if now := k.client.Load(); now != nil && now.key == c.key {
			h.issuer = c.key
		}
		if old != nil && !cert.Leaf.NotAfter.After(old.Leaf.NotAfter) && h.renewal().Before(time.Now()) {
			h.trial.Next = time.Now().Add(k.times.Retry) // it is due already: don't loop
		}
		k.trials.store(ctx, hostKey(spec.Host), trial{})
		k.reached(ctx, c)
	}
	k.serving.publish(k.hosts)
	k.log.Info("certificate obtained", "host", spec.Host, "source", spec.Source, "issuer", cert.Leaf.Issuer.CommonName,
		"until", cert.Leaf.NotAfter)
}

// failed notes a failure, of the host or of the authority. The old certificate is still served. The caller holds mu.
func (k *Keeper) failed(ctx context.Context, h *host, spec rhumb.Certificate, err error, c *client) {
	now := time.Now()
	if spec.Source != rhumb.CertACME {
		h.trial = h.trial.failed(now, err, k.times)
		k.log.Error("no certificate", "host", spec.Host, "source", spec.Source, "err", err)
		return
	}
	if about := blameFor(err); about == ofAuthority {
		h.trial.At, h.trial.Error = now, reason(err)
		k.doubt(ctx, c, k.authority, err)
	} else {
		h.trial = h.trial.failed(now, err, k.times)
		if about == ofRate {
			k.doubt(ctx, c, trial{}, err) // for a short time: the limit may be this host's alone
		} else {
			k.reached(ctx, c)
		}
	}
	k.trials.store(ctx, hostKey(spec.Host), h.trial)
	k.log.Warn("no certificate", "host", spec.Host, "source", spec.Source, "tries", h.trial.Tries, "next", k.due(h),
		"err", err)
}

// doubt stops all orders for a while, and then has one host try alone. The caller holds mu.
func (k *Keeper) doubt(ctx context.Context, c *client, before trial, err error) {
	if c == nil || c != k.client.Load() {
		return
	}
	if now := time.Now(); k.authority.Next.Before(now) { // orders that were under way together count once
		k.authority = before.failed(now, err, k.times)
		k.trials.store(ctx, authorityKey(c.key), k.authority)
	}
}

// reached notes that the authority answers. The caller holds mu.
func (k *Keeper) reached(ctx context.Context, c *client) {
	if c != nil && c == k.client.Load() && k.authority.Tries > 0 {
		k.authority = trial{}
		k.trials.store(ctx, authorityKey(c.key), trial{})
	}
}

func hostKey(host string) string     { return "trials/hosts/" + host }
func authorityKey(key string) string { return "trials/authorities/" + key }
