// Package certs keeps certificates for the hosts that the proxy serves over TLS: from an ACME authority, from the
// server's own, or given by the user. Everything is sealed on disk. See DESIGN.md beside this file.
package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
)

// Options configures a Keeper.
type Options struct {
	Dir   string // where everything is stored
	Box   Sealer // what seals it
	Times Times
	Log   *slog.Logger // nil: silent
}

// Keeper keeps the certificates of the hosts that Manage names. It serves those it has at once; it obtains and renews
// certificates while Run runs.
type Keeper struct {
	storage *storage
	sources sources
	trials  trials
	times   Times
	log     *slog.Logger
	serving serving
	acme    asked
	wake    chan struct{}

	storing sync.Mutex // held while the authority's trial is stored, which readers and other hosts don't wait for

	mu      sync.Mutex // never held over I/O
	hosts   map[string]*host
	orders  int    // under way
	cancel  func() // ends what is under way; nil before Run
	resting bool
}

// host is a host that has a certificate, or will have one.
type host struct {
	spec   rhumb.Certificate
	cert   *tls.Certificate // nil: none yet
	source rhumb.CertSource // where cert is from; the next one may come from elsewhere
	// the authority's key in the storage, for CertACME; "": of another authority than the client's
	issuer string
	chance float64 // from 0 to 1: moves the renewal
	trial  trial
	busy   bool
}

// New returns a keeper that does nothing until Manage and Run.
func New(o Options) *Keeper {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	store, times := newStorage(o.Dir, o.Box), o.Times.withDefaults()
	k := &Keeper{storage: store, sources: sources{store, o.Log}, trials: trials{store, times, o.Log},
		times: times, log: o.Log, wake: make(chan struct{}, 1), hosts: map[string]*host{}}
	k.serving.publish(nil)
	return k
}

// Manage keeps the certificates of the table and no others, and returns once those that are on disk are served. Calls
// of Manage must not overlap.
func (k *Keeper) Manage(ctx context.Context, t rhumb.Table) {
	specs, ok := k.unknown(t)
	if !ok {
		return
	}
	a := k.acme.choose(ctx, &k.trials, t)
	loaded := make(map[string]*host, len(specs))
	for _, spec := range specs {
		loaded[spec.Host] = k.load(ctx, spec, a.client)
	}
	unused, ok := k.serve(t, a, loaded)
	if unused != nil {
		unused.close()
	}
	if !ok {
		return
	}
	pairs := map[string]bool{}
	for _, spec := range t.Certificates {
		pairs[spec.Given] = true
	}
	k.storage.prune(ctx, pairsKey, pairs)
	k.storage.prune(ctx, filesKey, filesOf(t))
	k.nudge()
}

// unknown returns the certificates of the table that must be read from the disk. ok is false if a successor serves.
func (k *Keeper) unknown(t rhumb.Table) (specs []rhumb.Certificate, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, spec := range t.Certificates {
		h := k.hosts[spec.Host]
		if h == nil || h.spec.Source != spec.Source || h.spec.Given != spec.Given {
			specs = append(specs, spec)
		}
	}
	return specs, !k.resting
}

// serve serves the table's hosts: those that were loaded, and those that it knows. It returns the client that nothing
// uses any more, if there is one. ok is false if a successor serves.
func (k *Keeper) serve(t rhumb.Table, a chosen, loaded map[string]*host) (unused *client, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.acme.client.Load()
	if k.resting {
		return replaced(a.client, old), false
	}
	k.use(a)
	next := make(map[string]*host, len(t.Certificates))
	for _, spec := range t.Certificates {
		h, before := loaded[spec.Host], k.hosts[spec.Host]
		switch {
		case h == nil:
			h = before
		case h.cert == nil && before != nil:
			h.cert = before.cert // its source stays "": borrowed
		}
		h.spec = spec
		next[spec.Host] = h
	}
	k.hosts = next
	k.serving.publish(k.hosts)
	return replaced(old, a.client), true
}

// replaced returns the client that another has replaced; nil if it is the same.
func replaced(c, by *client) *client {
	if c == by {
		return nil
	}
	return c
}

// use makes an authority the one that is asked. The caller holds mu.
func (k *Keeper) use(a chosen) {
	k.acme.client.Store(a.client)
	if !a.other {
		return
	}
	k.acme.trial = a.trial
	for _, h := range k.hosts {
		if h.spec.Source == rhumb.CertACME {
			h.trial, h.issuer = trial{}, ""
		}
	}
}

func (k *Keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Certificate returns the certificate for a handshake. It returns nil without an error if the host isn't in the table
// or has none yet.
func (k *Keeper) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if isChallenge(hello) {
		if c := k.acme.client.Load(); c != nil {
			return c.config.GetCertificate(hello)
		}
		return nil, nil
	}
	return k.serving.find(hello.ServerName), nil
}

// Good reports whether the host can be visited over TLS: there is a certificate, and it hasn't expired.
func (k *Keeper) Good(name string) bool {
	c := k.serving.find(name)
	return c != nil && time.Now().Before(c.Leaf.NotAfter)
}

// Challenge answers a request of an ACME authority for the answer to a challenge. It returns false if the request isn't
// one.
func (k *Keeper) Challenge(w http.ResponseWriter, r *http.Request) bool {
	c := k.acme.client.Load()
	return c != nil && c.issuer.HandleHTTPChallenge(w, r)
}

// Rest stops ordering for good, because another process has taken over. Certificates are still served.
func (k *Keeper) Rest() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resting = true
	if k.cancel != nil {
		k.cancel()
	}
}

// Status returns the state of the certificates, by host.
func (k *Keeper) Status() []rhumb.CertificateStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	list := make([]rhumb.CertificateStatus, 0, len(k.hosts))
	for name, h := range k.hosts {
		st := rhumb.CertificateStatus{Host: name, Source: h.spec.Source, Stack: h.spec.Stack, Error: h.trial.Error,
			Failed: h.trial.At}
		if h.cert != nil {
			leaf := h.cert.Leaf
			st.NotBefore, st.NotAfter = leaf.NotBefore, leaf.NotAfter
			st.Issuer = cmp.Or(leaf.Issuer.CommonName, strings.Join(leaf.Issuer.Organization, ", "))
		}
		if next := k.due(h); !next.IsZero() {
			st.Next = later(next, now)
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b rhumb.CertificateStatus) int { return cmp.Compare(a.Host, b.Host) })
	return list
}

// load returns the host with what is on disk for it.
func (k *Keeper) load(ctx context.Context, spec rhumb.Certificate, c *client) *host {
	h := &host{spec: spec, chance: rand.Float64()}
	cert, err := k.sources.stored(ctx, spec, c)
	if err != nil && !isMissing(err) {
		k.log.Error("stored certificate can't be read", "host", spec.Host, "err", err)
		h.trial = trial{}.failed(time.Now(), err, k.times)
	}
	if cert != nil {
		h.cert, h.source = cert, spec.Source
		if c != nil && spec.Source == rhumb.CertACME {
			h.issuer = c.key
		}
	}
	if spec.Source == rhumb.CertACME {
		h.trial = k.trials.load(ctx, hostKey(spec.Host))
		if cert == nil {
			if any := loadAny(ctx, k.storage, spec.Host); any != nil {
				h.cert, h.source = any, rhumb.CertACME
			}
		}
	}
	return h
}

// serving are the certificates that are served, by host, wildcards as "*.example.com". Handshakes read them without a
// lock.
type serving struct {
	now atomic.Pointer[map[string]*tls.Certificate]
}

// publish serves the certificates that the hosts have.
func (s *serving) publish(hosts map[string]*host) {
	m := make(map[string]*tls.Certificate, len(hosts))
	for name, h := range hosts {
		if h.cert != nil {
			m[name] = h.cert
		}
	}
	s.now.Store(&m)
}

// find returns the certificate of a host, or of the wildcard that covers it.
func (s *serving) find(name string) *tls.Certificate {
	m := *s.now.Load()
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if c := m[name]; c != nil {
		return c
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		return m["*."+rest]
	}
	return nil
}
