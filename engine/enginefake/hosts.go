package enginefake

import (
	"context"
	"maps"
	"net/netip"
	"strings"

	"rhumb"
)

// hostsFiles are the hosts files of replicas.
type hostsFiles struct{ *state }

// SetHosts replaces the further names of a running replica.
func (hf *hostsFiles) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	if err := hf.enter(ctx, "SetHosts"); err != nil {
		return err
	}
	defer hf.mu.Unlock()
	if err := checkHosts(hosts); err != nil {
		return err
	}
	r := hf.byID(id)
	if r == nil {
		return rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id)
	}
	if view := r.at(hf.now()); view.Alive() && view.Joined == "" {
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
func (hf *hostsFiles) Hosts(id string) map[string]string {
	hf.mu.Lock()
	defer hf.mu.Unlock()
	r := hf.byID(id)
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
