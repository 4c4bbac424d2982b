// Package directory knows at which addresses, and by which names, a stack's services find one another.
package directory

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// Directory is what replicas are told of: the addresses of a stack's services, and the names they go by.
type Directory struct {
	segments []rhumb.Segment
	models   []*rhumb.Stack // the wanted one first
}

// Of gives the names that hold in a table, for a stack with these models, the wanted one first; a model may be nil.
func Of(t rhumb.Table, stack string, models ...*rhumb.Stack) Directory {
	return Directory{
		segments: slices.DeleteFunc(slices.Clone(t.Segments), func(s rhumb.Segment) bool { return s.Stack != stack }),
		models:   slices.DeleteFunc(slices.Clone(models), func(m *rhumb.Stack) bool { return m == nil }),
	}
}

// services lists the models' services, each as all models have it, the wanted one first.
func (d Directory) services() [][]*rhumb.Service {
	var list [][]*rhumb.Service
	at := map[string]int{}
	for _, m := range d.models {
		for i := range m.Services {
			s := &m.Services[i]
			if j, ok := at[s.Name]; ok {
				list[j] = append(list[j], s)
				continue
			}
			at[s.Name] = len(list)
			list = append(list, []*rhumb.Service{s})
		}
	}
	return list
}

// joined returns how a service joins a network, as the first model has it in which it does. While a network is made again
// under another name that is the old model for the old network, in which replicas still look for services.
func joined(defs []*rhumb.Service, network string) (rhumb.Attachment, bool) {
	for _, s := range defs {
		if a, ok := attachment(s, network); ok {
			return a, true
		}
	}
	return rhumb.Attachment{}, false
}

// Names gives what a container's hosts file shall have beside the engine's own lines: each service of the stack
// that it shares a network with, by all its names there, with its address in the first such network. A name that two
// services share is left to the engine's name server.
func (d Directory) Names(k *rhumb.Container) map[string]string {
	networks := d.networks(k)
	owners := map[string]string{} // by name: the service, or "" if there are several
	names := map[string]string{}
	for _, defs := range d.services() {
		service, found := defs[0].Name, false
		for _, n := range networks {
			a, ok := joined(defs, n)
			if !ok {
				continue
			}
			addr := d.address(n, service)
			for _, name := range slices.Concat([]string{service}, a.Aliases) {
				if owner, taken := owners[name]; taken && owner != service {
					owners[name] = ""
					continue
				}
				owners[name] = service
				if addr.IsValid() && !found && hostName(name) {
					names[name] = addr.String()
				}
			}
			found = found || addr.IsValid()
		}
	}
	maps.DeleteFunc(names, func(name, _ string) bool { return owners[name] == "" })
	return names
}

// networks lists the networks that a container reaches, in the order in which it looks for services: by priority, then
// by name. On the server's own network it reaches all of them.
func (d Directory) networks(k *rhumb.Container) []string {
	var list []string
	switch k.NetworkMode {
	case "":
		as := slices.Clone(k.Networks)
		slices.SortStableFunc(as, func(a, b rhumb.Attachment) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Network, b.Network))
		})
		for _, a := range as {
			list = append(list, a.Network)
		}
	case "host":
		for _, s := range d.segments {
			list = append(list, s.Network)
		}
		slices.Sort(list)
	}
	return list
}

// address gives a service's address in a network; the zero Addr: it has none.
func (d Directory) address(network, service string) netip.Addr {
	for _, s := range d.segments {
		for _, a := range s.Services {
			if s.Network == network && a.Service == service {
				return a.Addr
			}
		}
	}
	return netip.Addr{}
}

// hostName tells whether a name can stand in a hosts file.
func hostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// addressed gives the attachments by which a service has addresses in networks. Jobs have none, and neither has what
// shares another's network or the server's.
func addressed(s *rhumb.Service) []rhumb.Attachment {
	if s == nil || s.Job || s.Container.NetworkMode != "" {
		return nil
	}
	return s.Container.Networks
}

func attachment(s *rhumb.Service, network string) (rhumb.Attachment, bool) {
	as := addressed(s)
	i := slices.IndexFunc(as, func(a rhumb.Attachment) bool { return a.Network == network })
	if i < 0 {
		return rhumb.Attachment{}, false
	}
	return as[i], true
}
