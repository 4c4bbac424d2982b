package convert

import (
	"fmt"
	"slices"

	"rhumb"
	"rhumb/compose/internal/keys"
)

// routed reports routes that are claimed twice, by one service or two, and access logs of services without HTTP.
func (c *converter) routed(services []rhumb.Service) {
	held := map[string]string{}
	for _, s := range services {
		for i, r := range s.Routes {
			path := fmt.Sprintf("services.%s.%s.routes[%d]", s.Name, keys.Extension, i)
			switch other, ok := held[r.Address()]; {
			case ok && other == s.Name:
				c.bad.At(path, "keep one of them", "duplicate route %s", r.Address())
			case ok:
				c.bad.At(path, "choose another host or path for one of them", "route %s belongs to %s already (%s)", r.Address(),
					other,
					c.lines.Find("services."+other+"."+keys.Extension+".routes"))
			}
			held[r.Address()] = s.Name
		}
		path := "services." + s.Name
		own := path + "." + keys.Extension
		wrong := c.unset && (c.bad.Said(path+".ports") || c.bad.Said(own+".routes")) // that may be why it has none
		if !wrong {
			checkProxyProtocol(c.bad, own+".proxy_protocol", &s)
		}
		if s.AccessLog && !servesHTTP(&s) && !wrong {
			c.bad.At(own+".access_log", "add routes, or app_protocol: http to a port", "the service has no HTTP route or port")
		}
		if len(s.Limits) > 0 && !wrong {
			checkLimits(c.bad, &s, own)
		}
	}
}

// servesHTTP reports whether the proxy understands a route or port of the service as HTTP.
func servesHTTP(s *rhumb.Service) bool {
	return len(s.Routes) > 0 ||
		slices.ContainsFunc(s.Ports, func(p rhumb.Port) bool { return p.Protocol == rhumb.HTTP })
}
