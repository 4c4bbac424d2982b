package web

import (
	"net/http"
	"net/netip"

	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/limits"
)

// Streams that a connection of HTTP/2 may have at a time. The client learns the number when the connection begins, and
// queues the rest itself.
const (
	manyStreams = 100
	fewStreams  = 16

	crowdOfOne = 16  // connections of one address; the next ones get few streams
	crowd      = 500 // connections in all; the next ones get few streams
)

// server returns the server for a peer's connection, and the client that it counts for. The client is nil for a trusted
// proxy, which brings the requests of many clients.
func (s *Server) server(peer netip.Addr) (*inbound.Client, *webServer) {
	if s.trusts(peer) {
		return nil, &s.servers[0]
	}
	client, its, all := s.clients.Enter(limits.OfClient(peer))
	if its > crowdOfOne || all > crowd {
		return client, &s.servers[1]
	}
	return client, &s.servers[0]
}

// admit takes the place of a request of HTTP/2, and reports whether there was one. leave releases it.
func (s *Server) admit(r *http.Request, backend string) (leave func(), ok bool) {
	c := connOf(r)
	if c.Begin() {
		return c.End, true
	}
	k := limits.StreamKey{Backend: backend, Client: c.Client()}
	return func() { s.streams.Leave(k) }, s.streams.Enter(r.Context(), k)
}
