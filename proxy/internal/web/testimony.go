package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"rhumb/proxy/internal/inbound"
)

// Testimony is what the proxy knows about the client of a request.
type Testimony struct {
	Peer    netip.Addr          // what has connected
	Named   netip.AddrPort      // the client that the peer has named in a preamble; invalid: none
	Trusted bool                // what the request claims in X-Forwarded-* is believed
	Claims  map[string][]string // the header fields in which the request says where it comes from
	Client  netip.Addr          // the client, for limits, logs and X-Real-IP
	Passed  map[string]string   // the fields that replicas get
	Stack   string              // the stack that the request would reach; "": none
}

// TestimonyPath returns the path at which the proxy answers with a testimony, for a word that Give was called with.
func TestimonyPath(word string) string { return "/.well-known/rhumb/client-address/" + word }

// testimonyTime is how long a path is answered.
const testimonyTime = time.Minute

// Testimonies answers requests that only their sender knows with what the proxy knows about their client.
type Testimonies struct {
	server *Server
	now    atomic.Pointer[testified] // nil: there are none
}

// testified is the path that is answered.
type testified struct {
	path  string
	until time.Time
}

// Give has requests for the path of a word answered, for a minute. The word can't be guessed, so that only its inventor
// learns what the proxy knows.
func (t *Testimonies) Give(word string) {
	t.now.Store(&testified{TestimonyPath(word), time.Now().Add(testimonyTime)})
}

func (t *Testimonies) answers(path string) bool {
	now := t.now.Load()
	return now != nil && path == now.path && time.Now().Before(now.until)
}

// answer answers a request.
func (t *Testimonies) answer(w http.ResponseWriter, r *http.Request) {
	b, err := json.Marshal(t.about(r))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // if it fails, the client has left
}

// about returns what is known about the client of a request.
func (t *Testimonies) about(r *http.Request) Testimony {
	c, s := connOf(r), t.server
	y := Testimony{Peer: inbound.PeerOf(c), Claims: map[string][]string{}, Passed: map[string]string{}}
	if client, _ := inbound.CallerOf(c); client.Addr().Unmap().WithZone("") != y.Peer {
		y.Named = client
	}
	seen := addrPortOf(r.RemoteAddr).Addr()
	y.Trusted, y.Client = s.trusts(seen), s.clientOf(r, seen)
	for name, values := range r.Header {
		if claimsOrigin(name) {
			y.Claims[name] = values
		}
	}
	out := r.Clone(r.Context())
	s.setOrigin(r, out)
	for name, values := range out.Header {
		if claimsOrigin(name) {
			y.Passed[name] = strings.Join(values, ", ")
		}
	}
	snap := s.deps.Served.Load()
	if at, ok := placeOf(snap, connOf(r).Bound, r.Host, r.URL.Path); ok {
		y.Stack = snap.Stack(at.backend)
	}
	return y
}
