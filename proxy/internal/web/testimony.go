package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Testimony is what the proxy knows about the client of a request.
type Testimony struct {
	Peer    netip.Addr          // what has connected
	Named   netip.AddrPort      // the client that the peer has named in a preamble; invalid: none
	Trusted bool                // what the request claims in X-Forwarded-* is believed
	Claims  map[string][]string // the header fields in which the request says where it comes from
	Client  netip.Addr          // whom limits, logs and X-Real-IP take for the client
	Passed  map[string]string   // the fields that replicas get
	Stack   string              // the stack that the request would reach; "": none
}

// TestimonyPath returns the path at which the proxy answers with a testimony, for a word that Testify was called with.
func TestimonyPath(word string) string { return "/.well-known/rhumb/client-address/" + word }

// testimonyTime is how long a path is answered.
const testimonyTime = time.Minute

// testimonies is the path that is answered now.
type testimonies struct {
	path  string
	until time.Time
}

// Testify has requests for the path of a word answered with a testimony, for a minute. It can't be guessed, so that
// only its inventor learns what the proxy knows.
func (s *Server) Testify(word string) {
	s.testimonies.Store(&testimonies{TestimonyPath(word), time.Now().Add(testimonyTime)})
}

func (s *Server) testifies(path string) bool {
	t := s.testimonies.Load()
	return t != nil && path == t.path && time.Now().Before(t.until)
}

// testify answers a request with what is known about its client.
func (s *Server) testify(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	t := Testimony{Peer: c.Peer(), Claims: map[string][]string{}, Passed: map[string]string{}}
	if client, _ := c.Caller(); client.Addr().Unmap().WithZone("") != t.Peer {
		t.Named = client
	}
	seen := addrPortOf(r.RemoteAddr).Addr()
	t.Trusted, t.Client = s.trusts(seen), s.clientOf(r, seen)
	for name, values := range r.Header {
		if claimsOrigin(name) {
			t.Claims[name] = values
		}
	}
	out := r.Clone(r.Context())
	s.setOrigin(r, out)
	for name, values := range out.Header {
		if claimsOrigin(name) {
			t.Passed[name] = strings.Join(values, ", ")
		}
	}
	snap := s.deps.Served.Load()
	if backend, ok := s.backendOf(snap, r); ok {
		t.Stack = snap.Stack(backend)
	}
	b, err := json.Marshal(t)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // if it fails, the client has left
}
