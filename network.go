package rhumb

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
)

// Network is a network of a stack. Name is the engine's name for it.
type Network struct {
	Key        string // the key in the Compose file
	Name       string
	External   bool              `json:",omitzero"`
	Driver     string            `json:",omitzero"`
	DriverOpts map[string]string `json:",omitzero"`
	Internal   bool              `json:",omitzero"`
	Attachable bool              `json:",omitzero"`
	IPv6       bool              `json:",omitzero"`
	IPAM       IPAM              `json:",omitzero"`
	Labels     map[string]string `json:",omitzero"`
}

// IPAM is a network's address management. The zero value leaves it to the engine.
type IPAM struct {
	Driver  string            `json:",omitzero"`
	Options map[string]string `json:",omitzero"`
	Pools   []Pool            `json:",omitzero"`
}

// Pool is one subnet of a network.
type Pool struct {
	Subnet, Gateway, IPRange string
	Aux                      map[string]string `json:",omitzero"`
}

// Volume is a named volume of a stack. Name is the engine's name for it.
type Volume struct {
	Key        string
	Name       string
	External   bool              `json:",omitzero"`
	Driver     string            `json:",omitzero"`
	DriverOpts map[string]string `json:",omitzero"`
	Labels     map[string]string `json:",omitzero"`
}

// Network returns the network of that key, or nil.
func (s *Stack) Network(key string) *Network {
	if s == nil {
		return nil
	}
	for i := range s.Networks {
		if s.Networks[i].Key == key {
			return &s.Networks[i]
		}
	}
	return nil
}

// Volume returns the volume of that key, or nil.
func (s *Stack) Volume(key string) *Volume {
	if s == nil {
		return nil
	}
	for i := range s.Volumes {
		if s.Volumes[i].Key == key {
			return &s.Volumes[i]
		}
	}
	return nil
}

// Definition returns the hash of everything that defines a network, with its name and without its labels.
func (n Network) Definition() string {
	n.Key, n.Labels = "", nil
	b, err := json.Marshal(n)
	if err != nil {
		panic(err) // it has only plain values
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Alike reports whether two networks are defined alike, whatever their names. Naming the default driver changes
// nothing.
func (n Network) Alike(o Network) bool {
	for _, x := range []*Network{&n, &o} {
		x.Name, x.Driver, x.IPAM.Driver = "", cmp.Or(x.Driver, "bridge"), cmp.Or(x.IPAM.Driver, "default")
	}
	return n.Definition() == o.Definition()
}

// Differs returns what differs between an existing volume, with this driver and these options, and v. It names options
// without their values, which may be passwords.
func (v Volume) Differs(driver string, options map[string]string) []string {
	var what []string
	const own = "local" // the engine's own driver
	if is, wanted := cmp.Or(driver, own), cmp.Or(v.Driver, own); is != wanted {
		what = append(what, "driver "+is+" to "+wanted)
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(options)), maps.Keys(v.DriverOpts))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if options[name] != v.DriverOpts[name] {
			what = append(what, "driver_opts."+name)
		}
	}
	return what
}
