package convert

import (
	"fmt"

	"rhumb"
	"rhumb/compose/internal/keys"
)

// routed reports routes that are claimed twice, by one service or two.
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
	}
}
