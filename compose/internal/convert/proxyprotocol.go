package convert

import (
	"slices"

	"rhumb"
	"rhumb/compose/internal/place"
)

// checkProxyProtocol reports a service whose ports can't use the PROXY protocol as its x-rhumb asks.
func checkProxyProtocol(bad *place.Problems, path string, s *rhumb.Service) {
	if s.SendProxy == "" && !s.AcceptProxy {
		return
	}
	published := slices.ContainsFunc(s.Ports, func(p rhumb.Port) bool { return p.Protocol != rhumb.UDP })
	switch {
	case !published:
		bad.At(path, "add the port to ports, without /udp; for routes see --accept-proxy-protocol of the server",
			"the service publishes no port of TCP")
	case s.SendProxy != "" && servesHTTP(s):
		bad.At(path, "leave it out: X-Forwarded-For names the client; or publish the port without app_protocol",
			"connections of HTTP are shared by clients, so that %s can't name one", s.SendProxy)
	}
}
