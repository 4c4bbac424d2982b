package convert

import (
	"rhumb"
	"rhumb/compose/internal/keys"
)

// banned reports rules of bans that can't match: of services that the proxy doesn't serve, or not over HTTP, and about
// logs of services that don't exist.
func (c *converter) banned(services []rhumb.Service) {
	stack := rhumb.Stack{Services: services}
	for i := range services {
		s := &services[i]
		if len(s.Bans.On) == 0 {
			continue
		}
		path := "services." + s.Name
		at := path + "." + keys.Extension + ".bans"
		wrong := c.unset && (c.bad.Said(path+".ports") || c.bad.Said(path+"."+keys.Extension+".routes"))
		if !s.Served() && !wrong {
			c.bad.At(at, "add routes or ports, or move it to the service that clients reach",
				"the service has no route or port, so no client is refused")
			continue
		}
		for _, r := range s.Bans.On {
			ofHTTP := len(r.Status)+len(r.Paths)+len(r.Methods) > 0
			switch {
			case r.Log != "" && stack.Service(r.Log) == nil:
				c.bad.At(at, "write the name of a service of this file", "%s: there is no service %q whose log could be read",
					r.Name, r.Log)
			case ofHTTP && !servesHTTP(s) && !wrong:
				c.bad.At(at, "add routes, or app_protocol: http to a port", "%s: the service has no HTTP route or port", r.Name)
			}
		}
	}
}
