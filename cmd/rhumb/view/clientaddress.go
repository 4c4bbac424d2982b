package view

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// ClientAddresses is what the proxy and the replicas see of clients.
type ClientAddresses struct {
	Ports rhumb.RouterStatus
	Asked []Asked `json:",omitempty"`
}

// Asked is a request that was sent to find out.
type Asked struct {
	URL   string
	Claim string `json:",omitempty"` // the client that it claimed in X-Forwarded-For
	Testimony
}

// Testimony is what the proxy said about the request's client.
type Testimony struct {
	Peer    netip.Addr
	Named   netip.AddrPort
	Trusted bool
	Claims  map[string][]string
	Client  netip.Addr
	Passed  map[string]string
	Stack   string
}

// ShowClientAddresses prints what is seen of clients, and why.
func ShowClientAddresses(w io.Writer, found ClientAddresses) {
	t := newTable(paintOn(w), "ADDRESS", "SERVICE", "REPLICAS SEE")
	for _, l := range found.Ports.Table.Listeners {
		if l.Backend != "" {
			t.add(plain(listenerAddress(l), l.Backend, whatIsSeen(found.Ports, l))...)
		}
	}
	for _, r := range found.Ports.Table.Rules {
		t.add(plain(rhumb.Route{Host: r.Host, Path: r.Path}.Address(), r.Backend, byHeader)...)
	}
	t.print(w)
	for _, a := range found.Asked {
		showAsked(w, a)
	}
}

const byHeader = "the client in X-Forwarded-For and X-Real-IP"

// whatIsSeen returns what replicas behind a port see of its clients.
func whatIsSeen(rs rhumb.RouterStatus, l rhumb.Listener) string {
	if l.Protocol == rhumb.HTTP {
		return byHeader
	}
	for _, b := range rs.Table.Backends {
		for _, e := range b.Endpoints {
			if b.Name == l.Backend && e.SendProxy != "" {
				return "the client in the PROXY protocol, " + string(e.SendProxy)
			}
		}
	}
	switch why, known := rs.Unseen[l.Backend]; {
	case !known:
		return "unknown"
	case why != "":
		return "the proxy's address: " + why
	}
	return "the client's address"
}

// showAsked prints one request.
func showAsked(w io.Writer, a Asked) {
	fmt.Fprintf(w, "\n%s", a.URL)
	if a.Claim != "" {
		fmt.Fprintf(w, ", with X-Forwarded-For: %s", a.Claim)
	}
	fmt.Fprintf(w, "\n  connected to the proxy  %s\n", a.Peer)
	if a.Named.IsValid() {
		fmt.Fprintf(w, "  named by that proxy     %s (PROXY protocol)\n", a.Named.Addr())
	}
	for _, name := range slices.Sorted(maps.Keys(a.Claims)) {
		claims := strings.Join(a.Claims[name], ", ")
		fmt.Fprintf(w, "  the request says        %s: %s (%s)\n", name, claims, verdictOn(a, name))
	}
	fmt.Fprintf(w, "  so the client is        %s\n", a.Client)
	for _, name := range slices.Sorted(maps.Keys(a.Passed)) {
		fmt.Fprintf(w, "  the replica gets        %s: %s\n", name, a.Passed[name])
	}
}

// verdictOn returns whether a header field is believed, and why.
func verdictOn(a Asked, name string) string {
	peer := a.Peer
	if a.Named.IsValid() {
		peer = a.Named.Addr()
	}
	switch {
	case !a.Trusted:
		return fmt.Sprintf("not believed: %s isn't in --trusted-proxies", peer)
	case !strings.HasPrefix(name, "X-Forwarded-"):
		return "not believed: only X-Forwarded-* are, from trusted proxies"
	}
	return fmt.Sprintf("believed: %s is in --trusted-proxies", peer)
}
