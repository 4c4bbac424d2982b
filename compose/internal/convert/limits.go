package convert

import (
	"slices"

	"rhumb"
	"rhumb/compose/internal/place"
)

// checkLimits reports limits that the proxy can't keep for what it serves of a service. own is the path of its x-rhumb.
func checkLimits(bad *place.Problems, s *rhumb.Service, own string) {
	path := own + ".limits"
	if len(s.Limits) > rhumb.MaxLimits {
		bad.At(path, "put paths that have the same limit into one", "a service can have %d limits with those of its "+
			"routes, not %d", rhumb.MaxLimits, len(s.Limits))
	}
	if servesHTTP(s) {
		return
	}
	tcp := slices.ContainsFunc(s.Ports, func(p rhumb.Port) bool { return p.Protocol == rhumb.TCP })
	if !tcp {
		bad.At(path, "publish a port, or add routes", "the proxy serves no connections or requests of the service")
		return
	}
	for _, l := range s.Limits {
		for _, x := range []struct {
			set  bool
			name string
		}{{len(l.Paths) > 0, "paths"}, {l.Header() != "", "by"}, {l.Body > 0, "body"}, {l.Status != 0, "status"}} {
			if x.set {
				bad.At(path, "leave it out, add routes, or add app_protocol: http to a port",
					"%s needs HTTP, and the service has only TCP ports", x.name)
			}
		}
	}
}
