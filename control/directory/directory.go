// Package directory chooses the addresses and names by which the services of a stack find each other.
//
// Each service has a service address in each segment: in each network of the stack that has room for such addresses.
// A Book keeps the addresses that were chosen for a stack, on one page for each network. A Directory derives the names:
// what a container's hosts file must contain, given the addresses in the routing table and the stack's models.
// Announced records which names each running replica has in its hosts file.
package directory

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"rhumb"
)

// Directory has the addresses of a stack's services and the models that define their names.
type Directory struct {
	segments []rhumb.Segment
	models   []*rhumb.Stack // the wanted one first
}

// Of returns the directory of a stack as a table has it. models are the wanted model and the others of which replicas
// may run, the wanted one first; a model may be nil.
func Of(t rhumb.Table, stack string, models ...*rhumb.Stack) Directory {
	return Directory{
		segments: slices.DeleteFunc(slices.Clone(t.Segments), func(s rhumb.Segment) bool { return s.Stack != stack }),
		models:   slices.DeleteFunc(slices.Clone(models), func(m *rhumb.Stack) bool { return m == nil }),
	}
}

// services returns the models' services, each as a list of its definitions, the wanted model's first.
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

// joined returns how a service joins a network, from the first definition that does. While a network is replaced by one
// with another name, the old network has only the old definition, and old replicas still look for services there.
func joined(defs []*rhumb.Service, network string) (rhumb.Attachment, bool) {
	for _, s := range defs {
		if a, ok := attachment(s, network); ok {
			return a, true
		}
	}
	return rhumb.Attachment{}, false
}

// Names returns the addresses by name that a container's hosts file must have beside the engine's own lines. They are
// all names of the services that it shares a network with, each with the address in the first such network. The
// engine's name server answers for a name that two services share.
func (d Directory) Names(k *rhumb.Container) map[string]string {
	networks := d.networks(k)
	owners := map[string]string{} // by name: the service; "": several
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

// networks returns the networks that a container reaches, in the order in which it looks for services: by priority,
// then by name. A container on the server's own network reaches all of them.
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

// address returns a service's address in a network; the zero Addr: it has none.
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

// hostName reports whether a hosts file can contain a name.
func hostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !plain && !strings.ContainsRune("-_.", r)
	})
}

// addressed returns the attachments to networks in which a service can have addresses. Jobs have none, nor have
// services that share the network of another container or of the server.
func addressed(s *rhumb.Service) []rhumb.Attachment {
	if s == nil || s.Job || s.Container.NetworkMode != "" {
		return nil
	}
	return s.Container.Networks
}

// attachment returns how a service joins a network in which it can have an address, and false if it does not.
func attachment(s *rhumb.Service, network string) (rhumb.Attachment, bool) {
	as := addressed(s)
	i := slices.IndexFunc(as, func(a rhumb.Attachment) bool { return a.Network == network })
	if i < 0 {
		return rhumb.Attachment{}, false
	}
	return as[i], true
}
