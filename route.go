package rhumb

import (
	"context"
	"net"
	"strconv"
	"time"
)

// Port is one port that a service publishes.
type Port struct {
	HostIP       string `json:",omitzero"` // "": all IPv4 and IPv6 addresses
	Published    uint16 `json:",omitzero"` // 0: chosen once and kept
	PublishedEnd uint16 `json:",omitzero"` // the end of a range to choose from; 0: no range
	Target       uint16
	Protocol     Protocol // TCP or UDP, or HTTP for app_protocol: http
}

// Protocol is what the proxy speaks on a listener.
type Protocol string

const (
	TCP  Protocol = "tcp"
	UDP  Protocol = "udp"
	HTTP Protocol = "http"
	// HTTPS is HTTP over TLS, on the entry only: the certificates are those of the table.
	HTTPS Protocol = "https"
)

// ProxyProtocol is a version of the PROXY protocol: a header at the beginning of a connection that names the client.
type ProxyProtocol string

const (
	ProxyV1 ProxyProtocol = "v1" // a line of text
	ProxyV2 ProxyProtocol = "v2" // binary
)

// Route leads HTTP requests to a service by host and path. The longest path of the most exact host wins.
type Route struct {
	Host string `json:",omitzero"` // "": any; "*.example.com": one label
	Path string `json:",omitzero"` // a prefix that ends at a slash or the path's end; "": all
	Port uint16 `json:",omitzero"` // the replica's port; 0: the first published or exposed one

	Options *RouteOptions `json:",omitzero"` // nil: requests are only forwarded
}

// RouterStatus is what the proxy serves now.
type RouterStatus struct {
	Table Table
	// Open are the connections and requests in flight, by replica ID. Of those through service addresses it counts only
	// draining replicas'.
	Open map[string]int
	// Busy are those of Open that aren't quiet: a request is under way, an answer may be due, or bytes have just moved.
	// Kept connections between two requests aren't busy. nil: unknown.
	Busy map[string]int
	// Unbound are listeners of the table that aren't bound, because another process held the address when the proxy
	// started. The proxy keeps trying.
	Unbound      []Listener `json:",omitzero"`
	Backends     map[string]BackendStats
	Started      time.Time
	PID          int
	Goroutines   int                 `json:",omitzero"` // of the proxy
	Version      string              `json:",omitzero"` // of the proxy's binary
	Certificates []CertificateStatus `json:",omitzero"` // by host
	// NoSegments is why there can be no service addresses on this machine. "": there can be.
	NoSegments string `json:",omitzero"`
	// Unseen is, by backend of a TCP or UDP listener, why its replicas see the proxy's address instead of their
	// clients'. "": they see their clients'. nil: unknown, or there is no such backend.
	Unseen map[string]string `json:",omitzero"`
	Bans   BanStatus         `json:",omitzero"`
}

// BackendStats are the connections and requests of a backend since the proxy started.
type BackendStats struct {
	Releases map[int]ReleaseStats
	Held     uint64 // those that waited for an endpoint and were served
	Waiting  int    `json:",omitzero"` // those that wait for an endpoint now
	// WaitingSince is when the first of an unbroken row of waiters began to wait. It is set only with Waiting.
	WaitingSince time.Time `json:",omitzero"`
	Unserved     uint64    // those that found no endpoint in time
	Cut          uint64    `json:",omitzero"` // those that lost their replica while an answer was due
	// Limits are what its limits have done. nil: it has none.
	Limits *LimitStats `json:",omitzero"`
}

// Lost returns how many connections and requests the backend could not serve.
func (s BackendStats) Lost() uint64 { return s.Unserved + s.Cut }

// ReleaseStats counts the requests (HTTP) or connections (TCP, UDP) that one release's replicas got. Each counts once,
// as served or as failed.
type ReleaseStats struct {
	Served  uint64        // also those whose client left before the answer
	Failed  uint64        `json:",omitzero"` // those that no replica of the release answered, and no other either
	Errors  uint64        // failed ones, and 5xx answers
	Latency time.Duration // sum over all served; HTTP: until the answer's header
	// Buckets counts the answers (HTTP) that took at most LatencyBuckets[i], and more than the one before; the last
	// one more counts all that took longer. nil: none are counted.
	Buckets  []uint64 `json:",omitzero"`
	Received uint64   `json:",omitzero"` // bytes that clients sent: of bodies (HTTP), or of connections
	Sent     uint64   `json:",omitzero"` // bytes that clients were sent
}

// LatencyBuckets are the bounds of ReleaseStats.Buckets.
var LatencyBuckets = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Router is the proxy as the daemon sees it.
type Router interface {
	// Apply makes the proxy serve t, and returns once all its listeners are bound. It is idempotent: the table that is
	// served is acknowledged again. After an error the proxy serves what it served before. Listeners that are Unbound
	// already, and segments that failed before and don't change, cause no error: the proxy keeps trying.
	// Conflict: t's version isn't above the served one's, or an address can't be bound; the message names the address
	// and, if it is known, the process that holds it. Unavailable: the proxy doesn't answer, or a segment can't be
	// made; the message names the network. Invalid: the table contradicts itself.
	Apply(ctx context.Context, t Table) error
	// Status returns what the proxy serves, and the connections of each replica. Unavailable: the proxy doesn't answer.
	Status(ctx context.Context) (RouterStatus, error)
	// Check returns nil if the addresses could be bound beside those that are served now, and changes nothing.
	// Conflict: an address can't be bound; the message names the first. Unavailable: the proxy doesn't answer.
	Check(ctx context.Context, ls []Listener) error
}

// Unseen returns why the replicas of a service can't see the addresses of clients of TCP and UDP, as far as the stack
// says. "": it says nothing against it.
func (s *Stack) Unseen(svc *Service) string {
	if svc.Container.NetworkMode == "host" {
		return "they use the machine's own network"
	}
	inner := 0
	for _, a := range svc.Container.Networks {
		for _, n := range s.Networks {
			if n.Name == a.Network && n.Internal {
				inner++
			}
		}
	}
	if inner > 0 && inner == len(svc.Container.Networks) {
		return "their networks are internal, which have no way to clients"
	}
	return ""
}

// Address returns the address that is bound for the port: "*:80/tcp", "127.0.0.1:5432/tcp", "*:8080/http".
func (p Port) Address() string {
	ip := p.HostIP
	if ip == "" {
		ip = "*"
	}
	return net.JoinHostPort(ip, strconv.Itoa(int(p.Published))) + "/" + string(p.Protocol)
}

// Address returns the route's address: "shop.example.com/v1", "*/api".
func (r Route) Address() string {
	host, path := r.Host, r.Path
	if host == "" {
		host = "*"
	}
	if path == "" {
		path = "/"
	}
	return host + path
}

// Addresses returns the addresses at which the proxy serves the service: its ports', then its routes'.
func (s *Service) Addresses() []string {
	var as []string
	for _, p := range s.Ports {
		as = append(as, p.Address())
	}
	for _, r := range s.Routes {
		as = append(as, r.Address())
	}
	return as
}
