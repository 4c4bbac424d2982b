package release

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"rhumb"
)

// routePorts sets the port of each route without one: to the first port that its service publishes, or that the service
// or its image exposes.
func (d *draft) routePorts(context.Context) error {
	for i := range d.model.Services {
		s := &d.model.Services[i]
		port := firstPort(s, d.images[s.Name])
		for j := range s.Routes {
			r := &s.Routes[j]
			if r.Port != 0 {
				continue
			}
			if r.Port = port; port == 0 {
				const words = "service %s: route %s names no port, and neither the service nor its image exposes one"
				return rhumb.Errorf(rhumb.Invalid, words, s.Name, r.Address()).
					WithHint("write the port: {host: ..., path: ..., port: 8000}")
			}
		}
	}
	return nil
}

// firstPort returns the first TCP port of a service; 0: none is known.
func firstPort(s *rhumb.Service, img rhumb.Image) uint16 {
	if len(s.Ports) > 0 {
		return s.Ports[0].Target
	}
	for _, e := range slices.Concat(s.Container.Expose, img.Ports) {
		port, proto, _ := strings.Cut(e, "/")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && proto != "udp" {
			return uint16(n)
		}
	}
	return 0
}
