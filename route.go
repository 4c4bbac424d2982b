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

// Route leads HTTP requests to a service by host and path. The longest path of the most exact host wins.
type Route struct {
	Host string `json:",omitzero"` // "": any; "*.example.com": one label
	Path string `json:",omitzero"` // a prefix that ends at a slash or the path's end; "": all
	Port uint16 `json:",omitzero"` // the replica's port; 0: the first published or exposed one
}

// RouterStatus is what the proxy serves now.
type RouterStatus struct {
	Table Table
	Open  map[string]int // connections and requests in flight, by replica ID; through service addresses only those of draining replicas
	// Busy counts those of Open that aren't quiet: a request is under way, an answer may be due, or bytes have moved a moment
	// ago. Kept connections between two requests aren't busy. nil: the proxy doesn't tell.
	Busy         map[string]int
	Unbound      []Listener `json:",omitzero"` // in the table, but not bound: when the proxy started another process held the address; it goes on trying
	Backends     map[string]BackendStats
	Started      time.Time
	PID          int
	Goroutines   int                 `json:",omitzero"` // of the proxy
	Version      string              `json:",omitzero"` // of the proxy's binary
	Certificates []CertificateStatus `json:",omitzero"` // by host
	// NoSegments is why there can be no service addresses on this machine; "": there can.
	NoSegments string `json:",omitzero"`
}

// BackendStats counts what a backend has served since the proxy began; it is reported per release.
type BackendStats struct {
	Releases map[int]ReleaseStats
	Held     uint64 // waited for an endpoint and were served
	Waiting  int    `json:",omitzero"` // wait for one now
	// WaitingSince is since when at least one has waited all the time; only with Waiting.
	WaitingSince time.Time `json:",omitzero"`
	Unserved     uint64    // found no endpoint that took them, after they had waited for one as long as they may
	Cut          uint64    `json:",omitzero"` // were lost with their replica while an answer was due
}

// Lost is how many connections and requests the backend could not serve.
func (s BackendStats) Lost() uint64 { return s.Unserved + s.Cut }

// ReleaseStats counts the requests (HTTP) or connections (TCP, UDP) that one release's replicas served.
type ReleaseStats struct {
	Served  uint64
	Errors  uint64        // 5xx answers, and connections that could not be made
	Latency time.Duration // sum over all served; HTTP: until the answer's header
}

// Router is the proxy as the daemon sees it.
type Router interface {
	// Apply makes the proxy serve t and returns once it does, all listeners bound. A table whose version isn't
	// above the served one's is refused with Conflict, except the very same table, which is acknowledged again. When an address
	// can't be bound nothing changes, and the error (Conflict) names the address and, if it can be found, who holds it; only
	// those that are Unbound already don't stand in the way of other changes. In the same way a segment that is
	// changed and can't be made so is an error (Unavailable, naming the network), one that stays as it was is not: the proxy goes on trying.
	Apply(ctx context.Context, t Table) error
	// Status tells what is served and how many connections each replica has.
	Status(ctx context.Context) (RouterStatus, error)
	// Check tells whether the addresses could be bound beside those served now: nil, or Conflict naming the first that can't.
	Check(ctx context.Context, ls []Listener) error
}

// Address names what is bound for the port: "*:80/tcp", "127.0.0.1:5432/tcp", "*:8080/http".
func (p Port) Address() string {
	ip := p.HostIP
	if ip == "" {
		ip = "*"
	}
	return net.JoinHostPort(ip, strconv.Itoa(int(p.Published))) + "/" + string(p.Protocol)
}

// Address names the route: "shop.example.com/v1", "*/api".
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

// Addresses lists under what addresses the proxy leads to the service: its ports', then its routes'.
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
