package standing

import (
	"slices"

	"rhumb"
)

// Address is one address of a wanted service.
type Address struct {
	Name string // as rhumb.Service.Addresses has it
	Of   *Service
}

// Addresses are the addresses of all wanted services, each once.
type Addresses []Address

// listAddresses returns all wanted addresses in the order of the model. If two services have one address, which no
// valid stack allows, the first service gets it.
func listAddresses(st *Stack) Addresses {
	m := st.Wanted.model()
	if m == nil {
		return nil
	}
	var list Addresses
	for i := range m.Services {
		def := &m.Services[i]
		if !def.Served() {
			continue
		}
		for _, name := range def.Addresses() {
			if list.owner(name) == nil {
				list = append(list, Address{name, st.byName[def.Name]})
			}
		}
	}
	return list
}

// owner returns the service that is to have the address; nil: none.
func (as Addresses) owner(name string) *Service {
	for _, a := range as {
		if a.Name == name {
			return a.Of
		}
	}
	return nil
}

// Holdings are what a stack has beside replicas: networks, volumes and addresses.
type Holdings struct {
	Addresses Addresses // of all wanted services
	Missing   Missing   // what the wanted release needs and doesn't have yet

	wanted *Wanted
	seen   *Observed
}

// Missing is what a release needs beside replicas and doesn't have yet.
type Missing struct {
	Networks  []string
	Volumes   []string
	Addresses Addresses // that no service has in the table; an address that moves isn't missing
}

func holdingsOf(st *Stack) Holdings {
	h := Holdings{Addresses: listAddresses(st), wanted: &st.Wanted, seen: st.Observed}
	if m := h.wanted.model(); m != nil {
		for _, n := range m.Networks {
			if !n.External && !slices.Contains(h.seen.Networks, n.Name) {
				h.Missing.Networks = append(h.Missing.Networks, n.Name)
			}
		}
		for _, v := range m.Volumes {
			if !v.External && !slices.Contains(h.seen.Volumes, v.Name) {
				h.Missing.Volumes = append(h.Missing.Volumes, v.Name)
			}
		}
	}
	for _, a := range h.Addresses {
		if _, held := h.seen.Published[a.Name]; !held {
			h.Missing.Addresses = append(h.Missing.Addresses, a)
		}
	}
	return h
}

// Published reports whether all wanted addresses are their services' in the table.
func (h *Holdings) Published() bool {
	return !slices.ContainsFunc(h.Addresses, func(a Address) bool {
		return h.seen.Published[a.Name] != a.Of.Name
	})
}

// Unwanted returns the published addresses that no wanted service has, sorted.
func (h *Holdings) Unwanted() []string {
	var rest []string
	for a := range h.seen.Published {
		if h.Addresses.owner(a) == nil {
			rest = append(rest, a)
		}
	}
	slices.Sort(rest)
	return rest
}

// HoldsWanted reports whether the service has an address in the table that is to be another one's.
func (h *Holdings) HoldsWanted(service string) bool {
	return slices.ContainsFunc(h.Addresses, func(a Address) bool {
		return a.Of.Name != service && h.seen.Published[a.Name] == service
	})
}

// Prepared reports whether networks, volumes and, in a deployment, new addresses are there.
func (h *Holdings) Prepared() bool {
	miss := &h.Missing
	return len(miss.Networks)+len(miss.Volumes) == 0 && (h.wanted.Mode != Deploy || len(miss.Addresses) == 0)
}

// ExtraNetworks returns the stack's networks that the wanted release doesn't have, sorted.
func (h *Holdings) ExtraNetworks() []string {
	m := h.wanted.model()
	var rest []string
	for _, name := range h.seen.Networks {
		if m == nil || !slices.ContainsFunc(m.Networks, func(n rhumb.Network) bool { return n.Name == name }) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return rest
}
