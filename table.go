package rhumb

import (
	"net/netip"
	"slices"
	"time"
)

// Table is everything the proxy does. It is a whole, not a change: the proxy swaps to it atomically, keeps the last one
// on disk, and refuses one that is older than its own. All lists are sorted.
type Table struct {
	Version   uint64
	Listeners []Listener `json:",omitzero"`
	Rules     []Rule     `json:",omitzero"` // for listeners of HTTP without a backend
	Backends  []Backend  `json:",omitzero"`
	Segments  []Segment  `json:",omitzero"` // the service addresses inside stacks

	Certificates []Certificate `json:",omitzero"` // by host
	Authority    Authority     `json:",omitzero"` // where those of CertACME come from

	Options []TableOptions `json:",omitzero"` // of rules and listeners, by ID
}

// Listener is one bound address of the proxy.
type Listener struct {
	Addr     netip.AddrPort // an unspecified IPv6 address ("[::]:80") accepts IPv4 too
	Protocol Protocol
	Backend  string `json:",omitzero"` // "": the rules lead requests to a backend (HTTP only)
	Options  string `json:",omitzero"` // the ID of its options, with a backend and HTTP only; "": none
	// AcceptProxy means that a connection of a trusted proxy begins with a header of the PROXY protocol. Without one it
	// is closed. Other clients' connections are served as they are.
	AcceptProxy bool `json:",omitzero"`
}

// Rule leads requests for one host and path to a backend.
type Rule struct {
	Host    string `json:",omitzero"`
	Path    string `json:",omitzero"`
	Backend string
	Options string `json:",omitzero"` // the ID of its options; "": none
}

// Backend is a set of endpoints that can answer for one another: one service's replicas on one target port.
type Backend struct {
	Name      string // "shop/web:8000"
	Stack     string
	Service   string
	Hold      time.Duration `json:",omitzero"` // how long a request or connection waits while no endpoint is active
	AccessLog bool          `json:",omitzero"` // a line is written for each HTTP request
	Sticky    bool          `json:",omitzero"` // clients stay with a slot
	Endpoints []Endpoint    `json:",omitzero"`
	Limits    []Limit       `json:",omitzero"` // what clients may ask of it
	Bans      Bans          `json:",omitzero"` // for what clients are banned
}

// Endpoint is the address of one replica's port.
type Endpoint struct {
	Replica  string // the replica's ID
	Name     string // the replica's name, for people
	Release  int
	Addr     netip.AddrPort
	Draining bool      `json:",omitzero"` // gets no new connections, finishes those it has
	Since    time.Time `json:",omitzero"` // when it began to drain
	// Leave, with Draining, closes connections as soon as they are quiet. Nothing else serves: their clients come
	// back and wait for the next replica.
	Leave bool `json:",omitzero"`
	// Addr6 is where the replica is reached over IPv6, beside an Addr of IPv4. Invalid: nowhere.
	Addr6 netip.Addr `json:",omitzero"`
	// SendProxy has each connection of TCP begin with a header of the PROXY protocol. "": the replica sees its clients'
	// addresses where that can be.
	SendProxy ProxyProtocol `json:",omitzero"`
	// Unseen is why the replica can't see its clients' addresses, as far as its release says. "": it says nothing.
	Unseen string `json:",omitzero"`
	Slot   int    `json:",omitzero"` // of a sticky backend: the replica's slot, which its successors have too
}

// Segment is a network of a stack in which services have addresses of their own. The proxy adds a network namespace to
// the network's bridge. New connections to a service address in it are spread over the service's active endpoints.
type Segment struct {
	Network  string           // the engine's name for it
	ID       string           // the engine's ID; a network that was made again has another ID under the same name
	Stack    string           // the stack that it belongs to
	Bridge   string           // the server's interface that the replicas are attached to
	Subnet   netip.Prefix     // of the network
	Services []ServiceAddress `json:",omitzero"` // by service
	// Legs are the other networks in which endpoints of these services may be: while a network is replaced, callers
	// in the old one reach the new replicas, and the other way round.
	Legs []Leg `json:",omitzero"`
}

// Leg is a way from a segment into another network of the stack.
type Leg struct {
	Network string       // the engine's name for it
	ID      string       // the engine's ID
	Bridge  string       // the server's interface
	Subnet  netip.Prefix // of the network
	Addr    netip.Addr   // in it: where connections to endpoints come from
}

// Reaches reports whether an address is in the segment's network, or in one into which it has a leg.
func (s Segment) Reaches(a netip.Addr) bool {
	return s.Subnet.Contains(a) || slices.ContainsFunc(s.Legs, func(l Leg) bool { return l.Subnet.Contains(a) })
}

// ServiceAddress is the stable virtual address of a service in one network, for all TCP and UDP ports.
type ServiceAddress struct {
	Service   string
	Addr      netip.Addr
	Endpoints []Endpoint `json:",omitzero"` // their port is 0
	// Gap is until when new connections wait while no endpoint is active, because a new replica is on its way: their
	// SYNs are dropped, and clients send them again. Otherwise, and later, they are rejected at once.
	Gap time.Time `json:",omitzero"`
}

// Clone returns a copy that shares nothing with t and has nil for each empty list, so that equal tables have equal
// JSON.
func (t Table) Clone() Table {
	t.Listeners = cloneList(t.Listeners)
	t.Rules = cloneList(t.Rules)
	t.Backends = cloneList(t.Backends)
	for i := range t.Backends {
		t.Backends[i].Endpoints = cloneList(t.Backends[i].Endpoints)
		t.Backends[i].Limits = cloneLimits(t.Backends[i].Limits)
		t.Backends[i].Bans = t.Backends[i].Bans.clone()
	}
	t.Segments = cloneList(t.Segments)
	for i := range t.Segments {
		services := cloneList(t.Segments[i].Services)
		t.Segments[i].Services = services
		for j := range services {
			services[j].Endpoints = cloneList(services[j].Endpoints)
		}
		t.Segments[i].Legs = cloneList(t.Segments[i].Legs)
	}
	t.Certificates = cloneList(t.Certificates)
	t.Options = cloneList(t.Options)
	for i := range t.Options {
		t.Options[i].RouteOptions = *t.Options[i].Clone()
	}
	return t
}

func cloneList[T any](l []T) []T {
	if len(l) == 0 {
		return nil
	}
	return slices.Clone(l)
}

// Equal reports whether two tables are equal, versions included. Nil and empty lists are equal.
func (t Table) Equal(o Table) bool {
	return t.Version == o.Version && t.Authority == o.Authority &&
		slices.Equal(t.Listeners, o.Listeners) && slices.Equal(t.Rules, o.Rules) &&
		slices.Equal(t.Certificates, o.Certificates) &&
		slices.EqualFunc(t.Options, o.Options, TableOptions.equal) &&
		slices.EqualFunc(t.Backends, o.Backends, Backend.equal) && slices.EqualFunc(t.Segments, o.Segments, Segment.Equal)
}

func (b Backend) equal(o Backend) bool {
	return b.Name == o.Name && b.Stack == o.Stack && b.Service == o.Service && b.Hold == o.Hold &&
		b.AccessLog == o.AccessLog && b.Sticky == o.Sticky && SameLimits(b.Limits, o.Limits) && b.Bans.Equal(o.Bans) &&
		slices.EqualFunc(b.Endpoints, o.Endpoints, Endpoint.equal)
}

func (e Endpoint) equal(o Endpoint) bool {
	since := e.Since.Equal(o.Since)
	e.Since, o.Since = time.Time{}, time.Time{} // == compares zones and monotonic clocks too
	return since && e == o
}

// Equal reports whether two segments are equal. Nil and empty lists are equal.
func (s Segment) Equal(o Segment) bool {
	return s.Network == o.Network && s.ID == o.ID && s.Stack == o.Stack && s.Bridge == o.Bridge && s.Subnet == o.Subnet &&
		slices.Equal(s.Legs, o.Legs) && slices.EqualFunc(s.Services, o.Services, ServiceAddress.equal)
}

func (a ServiceAddress) equal(o ServiceAddress) bool {
	return a.Service == o.Service && a.Addr == o.Addr && a.Gap.Equal(o.Gap) &&
		slices.EqualFunc(a.Endpoints, o.Endpoints, Endpoint.equal)
}
