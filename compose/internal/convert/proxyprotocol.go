package convert

import (
	"slices"

	"rhumb"
)

// checkProxyProtocol reports a service whose ports can't use the PROXY protocol as its x-rhumb asks.
func (c *converter) checkProxyProtocol(path string, s *rhumb.Service) {
	if s.SendProxy == "" && !s.AcceptProxy {
		return
	}
	published := slices.ContainsFunc(s.Ports, func(p rhumb.Port) bool { return p.Protocol != rhumb.UDP })
	switch {
	case !published:
		c.bad.At(path, "add the port to ports, without /udp; for routes see --accept-proxy-protocol of the server",
			"the service publishes no port of TCP")
	case s.SendProxy != "" && servesHTTP(s):
		c.bad.At(path, "leave it out: X-Forwarded-For names the client; or publish the port without app_protocol",
			"connections of HTTP are shared by clients, so that %s can't name one", s.SendProxy)
	}
}
