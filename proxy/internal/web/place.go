package web

import (
	"net/netip"

	"rhumb"
	"rhumb/proxy/internal/backend"
	"rhumb/proxy/internal/chain"
	"rhumb/proxy/internal/socket"
)

// place is where a request belongs.
type place struct {
	backend string
	path    string       // of the rule, without a last slash
	chain   *chain.Chain // what the route does besides forwarding; nil: nothing
	evades  bool         // the path has a second reading, which asks for a password
}

// placeOf returns the place of a request that has come in at a binding: its listener's backend, or that of the rule
// that fits. path is decoded.
func placeOf(snap *backend.Snapshot, at socket.Binding, host, path string) (p place, known bool) {
	l, ok := snap.Listeners[at]
	switch {
	case !ok || l.Protocol != rhumb.HTTP && l.Protocol != rhumb.HTTPS:
		return p, false // the listener is gone, or has another protocol now; this connection was kept alive
	case l.Backend != "":
		return place{backend: l.Backend, chain: snap.Chains.Of(l.Options)}, true
	}
	f, ok := snap.Rules.Find(host, path)
	if !ok {
		return p, false
	}
	return place{backend: f.Backend, path: f.Path, chain: snap.Chains.Of(f.Options),
		evades: snap.Rules.Evades(host, path)}, true
}

// question returns what the place's chain looks at.
func (p *place) question(snap *backend.Snapshot, client netip.Addr) *chain.Request {
	return &chain.Request{Prefix: p.path, Client: client, Stack: stackOf(snap, p.backend)}
}

// stackOf returns the name of a backend's stack, for visitors.
func stackOf(snap *backend.Snapshot, name string) string {
	if stack := snap.Stack(name); stack != "" {
		return stack
	}
	return "The service"
}

// added returns the fields that a replica gets besides those of the client.
func (p *place) added(user string) []rhumb.HeaderField {
	list := p.chain.Request.Added
	list = list[:len(list):len(list)]
	if user != "" {
		list = append(list, rhumb.HeaderField{Name: "X-Forwarded-User", Value: user})
	}
	if p.chain.Strips() && p.path != "" {
		list = append(list, rhumb.HeaderField{Name: "X-Forwarded-Prefix", Value: p.path})
	}
	return list
}
