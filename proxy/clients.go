package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/firewall"
	"rhumb/proxy/internal/transparent"
)

// clientKeeper has replicas see the addresses of the clients of TCP and UDP, where this machine can do that.
type clientKeeper struct {
	machine *transparent.Machine // nil: replicas see the proxy's address
	log     *slog.Logger
	disown  func() // set by own
}

// newClientKeeper returns the keeper of an instance; "": of none.
func newClientKeeper(instance string, log *slog.Logger) *clientKeeper {
	k := &clientKeeper{log: log, disown: func() {}}
	if instance != "" {
		k.machine = transparent.New(transparent.Options{Instance: instance, Log: log})
	}
	return k
}

// dials returns what makes connections from clients' addresses; nil: there is nothing.
func (k *clientKeeper) dials() backend.Transparent {
	if k.machine == nil {
		return nil // not k.machine: a nil *Machine would be a Transparent
	}
	return k.machine
}

// own keeps the machine prepared until disown.
func (k *clientKeeper) own(ctx context.Context) {
	if k.machine == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := k.machine.Run(ctx); err != nil {
			k.log.Error("routing of client addresses no longer repaired", "err", err)
		}
	})
	k.disown = func() {
		cancel()
		running.Wait()
	}
}

// prepare prepares the machine for a table that is served next.
func (k *clientKeeper) prepare(ctx context.Context, t rhumb.Table) {
	if k.machine == nil {
		return
	}
	direct := directBackends(t)
	endpoints := map[netip.Addr]bool{}
	for _, b := range t.Backends {
		for _, e := range b.Endpoints {
			if direct[b.Name] && e.SendProxy == "" && e.Unseen == "" && !e.Addr.Addr().IsLoopback() {
				endpoints[e.Addr.Addr()], endpoints[e.Addr6] = true, true
			}
		}
	}
	delete(endpoints, netip.Addr{}) // of those without IPv6
	k.machine.Ensure(ctx, endpoints)
}

// unseen returns, by backend of a TCP or UDP listener, why its replicas don't see clients' addresses; "": they do.
func (k *clientKeeper) unseen(t rhumb.Table) map[string]string {
	if k.machine == nil {
		return nil
	}
	direct := directBackends(t)
	whys := map[string]string{}
	for _, b := range t.Backends {
		if !direct[b.Name] {
			continue
		}
		whys[b.Name] = ""
		for _, e := range b.Endpoints {
			if why := k.whyNot(e); why != "" {
				whys[b.Name] = why
			}
		}
	}
	return whys
}

func (k *clientKeeper) whyNot(e rhumb.Endpoint) string {
	switch {
	case e.Draining || e.SendProxy != "":
		return ""
	case e.Unseen != "":
		return e.Unseen
	}
	return k.machine.WhyNone(e.Addr.Addr())
}

// directBackends returns the names of the backends of TCP and UDP listeners.
func directBackends(t rhumb.Table) map[string]bool {
	direct := map[string]bool{}
	for _, l := range t.Listeners {
		if l.Protocol == rhumb.TCP || l.Protocol == rhumb.UDP {
			direct[l.Backend] = true
		}
	}
	return direct
}

// Forget removes from this machine's kernel what the proxies of an instance have left there: the routing of clients'
// addresses, and the table of bans. They must have ended. It is idempotent.
func Forget(instance string) error {
	return errors.Join(transparent.New(transparent.Options{Instance: instance}).Remove(), firewall.Remove(instance))
}
