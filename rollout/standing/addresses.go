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

// Published reports whether all wanted addresses are their services' in the table.
func (st *Stack) Published() bool {
	return !slices.ContainsFunc(st.Addresses, func(a Address) bool {
		return st.Observed.Published[a.Name] != a.Of.Name
	})
}

// Unwanted returns the published addresses that no wanted service has, sorted.
func (st *Stack) Unwanted() []string {
	var rest []string
	for a := range st.Observed.Published {
		if st.Addresses.owner(a) == nil {
			rest = append(rest, a)
		}
	}
	slices.Sort(rest)
	return rest
}

// HoldsWanted reports whether the service has an address in the table that is to be another one's.
func (st *Stack) HoldsWanted(service string) bool {
	return slices.ContainsFunc(st.Addresses, func(a Address) bool {
		return a.Of.Name != service && st.Observed.Published[a.Name] == service
	})
}

// Answers reports whether the service has a replica in place, or won't have one.
func (s *Service) Answers() bool {
	settled := true
	for i := range s.Slots {
		if s.Slots[i].Status == InPlace {
			return true
		}
		settled = settled && s.Slots[i].Settled()
	}
	return settled
}

// Missing is what a release needs beside replicas and doesn't have yet.
type Missing struct {
	Networks  []string
	Volumes   []string
	Addresses Addresses // that no service has in the table; an address that moves isn't missing
}

func missing(st *Stack) Missing {
	var miss Missing
	if m := st.Wanted.model(); m != nil {
		for _, n := range m.Networks {
			if !n.External && !slices.Contains(st.Observed.Networks, n.Name) {
				miss.Networks = append(miss.Networks, n.Name)
			}
		}
		for _, v := range m.Volumes {
			if !v.External && !slices.Contains(st.Observed.Volumes, v.Name) {
				miss.Volumes = append(miss.Volumes, v.Name)
			}
		}
	}
	for _, a := range st.Addresses {
		if _, held := st.Observed.Published[a.Name]; !held {
			miss.Addresses = append(miss.Addresses, a)
		}
	}
	return miss
}

// Prepared reports whether networks, volumes and, in a deployment, new addresses are there.
func (st *Stack) Prepared() bool {
	miss := &st.Missing
	return len(miss.Networks)+len(miss.Volumes) == 0 && (st.Wanted.Mode != Deploy || len(miss.Addresses) == 0)
}

// ExtraNetworks returns the stack's networks that the wanted release doesn't have, sorted.
func (st *Stack) ExtraNetworks() []string {
	m := st.Wanted.model()
	var rest []string
	for _, name := range st.Observed.Networks {
		if m == nil || !slices.ContainsFunc(m.Networks, func(n rhumb.Network) bool { return n.Name == name }) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	return rest
}
