package table

import (
	"strings"

	"rhumb"
)

// Hosts are the hosts of a table that are served over TLS.
type Hosts struct {
	hosts map[string]rhumb.Certificate // by host, wildcards as "*.example.com"
	Port  uint16                       // of the entry; 0: there is none
}

// HostsOf returns the hosts of t.
func HostsOf(t rhumb.Table) Hosts {
	h := Hosts{hosts: make(map[string]rhumb.Certificate, len(t.Certificates))}
	for _, c := range t.Certificates {
		h.hosts[NormalHost(c.Host)] = c
	}
	for _, l := range t.Listeners {
		if l.Protocol == rhumb.HTTPS {
			h.Port = l.Addr.Port()
		}
	}
	return h
}

// Find returns the certificate that a host has in the table, its own or a wildcard's.
func (t Hosts) Find(host string) (rhumb.Certificate, bool) {
	c, ok := t.hosts[host]
	if _, rest, dot := strings.Cut(host, "."); !ok && dot {
		c, ok = t.hosts["*."+rest]
	}
	return c, ok
}
