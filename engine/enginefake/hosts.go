package enginefake

import (
	"context"
	"maps"
	"net/netip"
	"strings"

	"rhumb"
)

// SetHosts replaces the further names of a running replica.
func (e *Engine) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	if err := e.enter(ctx, "SetHosts"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if err := checkHosts(hosts); err != nil {
		return err
	}
	r := e.byID(id)
	if r == nil {
		return rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id)
	}
	if view := r.at(e.now()); view.Alive() && view.Joined == "" {
		r.hosts = maps.Clone(hosts)
	}
	return nil
}

// checkHosts looks whether names and addresses can stand in a hosts file.
func checkHosts(hosts map[string]string) error {
	for name, addr := range hosts {
		if _, err := netip.ParseAddr(addr); err != nil || name == "" || strings.ContainsAny(name, " \t\r\n#:") {
			return rhumb.Errorf(rhumb.Invalid, "hosts file: %q with %q can't stand there", name, addr)
		}
	}
	return nil
}

// Hosts returns a replica's hosts file: its own extra hosts and the further names. Its own hosts win.
func (e *Engine) Hosts(id string) map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.byID(id)
	if r == nil {
		return nil
	}
	hosts := map[string]string{}
	maps.Copy(hosts, r.hosts)
	for _, line := range r.spec.Container.ExtraHosts {
		name, addr, _ := strings.Cut(line, ":")
		hosts[name] = addr
	}
	return hosts
}
