package enginetest

import (
	"slices"
	"time"

	"rhumb"
)

var holdingTests = map[string]func(*bench){
	"a network is made once": func(b *bench) {
		n := rhumb.Network{Key: "default", Name: b.stack + "_default"}
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, n))
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, n))
		n.Labels = map[string]string{"x": "y"} // labels don't make it another network
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, n))
		if h := b.holdings(); !slices.Equal(h.Networks, []string{n.Name}) {
			b.Errorf("networks: %v", h.Networks)
		}
	},
	"an external network that is missing is not found": func(b *bench) {
		b.is(b.EnsureNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_ext", External: true}), rhumb.NotFound)
	},
	"an external network is taken as it is": func(b *bench) {
		b.o.AddNetwork(b.T, b.Engine, b.stack+"_ext")
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_ext", External: true, Internal: true}))
		if h := b.holdings(); len(h.Networks) != 0 {
			b.Errorf("it counts as the stack's: %v", h)
		}
	},
	"a network that is not the stack's is a conflict": func(b *bench) {
		b.o.AddNetwork(b.T, b.Engine, b.stack+"_n")
		b.is(b.EnsureNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_n"}), rhumb.Conflict)
		b.is(b.RemoveNetwork(b.ctx(), b.stack, b.stack+"_n"), rhumb.Conflict)
	},
	"a network that is defined otherwise is a conflict": func(b *bench) {
		n := rhumb.Network{Name: b.stack + "_n"}
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, n))
		n.Internal = true
		b.is(b.EnsureNetwork(b.ctx(), b.stack, n), rhumb.Conflict)
	},
	"to check a network makes none": func(b *bench) {
		n := rhumb.Network{Key: "n", Name: b.stack + "_n"}
		b.ok(b.CheckNetwork(b.ctx(), b.stack, n))
		if h := b.holdings(); len(h.Networks) != 0 {
			b.Errorf("made: %v", h.Networks)
		}
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, n))
		b.ok(b.CheckNetwork(b.ctx(), b.stack, n))
		n.Internal = true
		b.is(b.CheckNetwork(b.ctx(), b.stack, n), rhumb.Conflict)
		b.is(b.CheckNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_ext", External: true}), rhumb.NotFound)
		b.o.AddNetwork(b.T, b.Engine, b.stack+"_ext")
		b.ok(b.CheckNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_ext", External: true}))
		b.is(b.CheckNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_ext"}), rhumb.Conflict)
	},
	"a network is removed once no replica uses it": func(b *bench) {
		n := b.network("n")
		r := b.start(b.specOf("web", rhumb.Container{Networks: []rhumb.Attachment{{Network: n}}}))
		b.is(b.RemoveNetwork(b.ctx(), b.stack, n), rhumb.Conflict)
		b.gone(r.ID)
		b.ok(b.RemoveNetwork(b.ctx(), b.stack, n))
		b.ok(b.RemoveNetwork(b.ctx(), b.stack, n))
		if h := b.holdings(); len(h.Networks) != 0 {
			b.Errorf("still there: %v", h)
		}
	},
	"a network of the stack's own has room for service addresses": func(b *bench) {
		n := b.network("n")
		b.network("n")
		h := b.holdings()
		if len(h.Bridges) != 1 || !slices.Equal(h.Networks, []string{n}) {
			b.Fatalf("holdings: %+v", h)
		}
		br := h.Bridges[0]
		if br.Network != n || br.ID == "" || br.Interface == "" || !br.Subnet.Contains(br.Gateway) ||
			!br.Addresses.IsValid() || !br.Subnet.Overlaps(br.Addresses) || br.Subnet.Bits() >= br.Addresses.Bits() ||
			br.Addresses.Contains(br.Gateway) {
			b.Errorf("bridge: %+v", br)
		}
		for slot := range 3 {
			s := b.specOf("web", rhumb.Container{Networks: []rhumb.Attachment{{Network: n}}})
			s.Slot = slot + 1
			if a := b.start(s).Addrs[n]; !br.Subnet.Contains(a) || br.Addresses.Contains(a) || a == br.Gateway {
				b.Errorf("replica at %v in %+v", a, br)
			}
		}
	},
	"a network that is removed and created again has another ID": func(b *bench) {
		n := b.network("n")
		first := b.holdings().Bridges[0].ID
		b.ok(b.RemoveNetwork(b.ctx(), b.stack, n))
		b.network("n")
		if again := b.holdings().Bridges[0].ID; again == first {
			b.Errorf("the ID is the old one's: %s", again)
		}
	},
	"an external network is not among the bridges of a stack": func(b *bench) {
		b.o.AddNetwork(b.T, b.Engine, b.stack+"_ext")
		b.ok(b.EnsureNetwork(b.ctx(), b.stack, rhumb.Network{Name: b.stack + "_ext", External: true}))
		if h := b.holdings(); len(h.Bridges) != 0 {
			b.Errorf("holdings: %+v", h)
		}
	},
	"a replica that is taken out of a network by hand has no address there": func(b *bench) {
		n, m := b.network("n"), b.network("m")
		r := b.start(b.specOf("web", rhumb.Container{Networks: []rhumb.Attachment{{Network: n}, {Network: m}}}))
		if len(b.look(r.ID).Addrs) != 2 {
			b.Fatalf("addresses: %v", b.look(r.ID).Addrs)
		}
		b.o.Disconnect(b.T, b.Engine, r.ID, m)
		b.within(5*time.Second, "one address", func() bool {
			as := b.look(r.ID).Addrs
			return len(as) == 1 && as[n].IsValid()
		})
		b.ok(b.RemoveNetwork(b.ctx(), b.stack, m)) // no replica uses it now
	},
	"a replica is in a network beside its own until that is removed": func(b *bench) {
		n, m := b.network("a"), b.network("b") // in this order: the way out of older engines is the first
		s := b.specOf("web", rhumb.Container{Networks: []rhumb.Attachment{{Network: n}}})
		s.Beside = []rhumb.Attachment{{Network: m, Aliases: []string{"web"}}, {Network: b.stack + "_gone"}}
		r := b.start(s)
		if as := b.look(r.ID).Addrs; len(as) != 2 || !as[n].IsValid() || !as[m].IsValid() {
			b.Fatalf("addresses: %v", as)
		}
		b.ok(b.RemoveNetwork(b.ctx(), b.stack, m))
		b.within(5*time.Second, "one address", func() bool {
			as := b.look(r.ID).Addrs
			return len(as) == 1 && as[n].IsValid()
		})
		b.is(b.RemoveNetwork(b.ctx(), b.stack, n), rhumb.Conflict)
	},
	"a volume is made once": func(b *bench) {
		v := rhumb.Volume{Key: "db", Name: b.stack + "_db"}
		b.ok(b.EnsureVolume(b.ctx(), b.stack, v))
		b.ok(b.EnsureVolume(b.ctx(), b.stack, v))
		if h := b.holdings(); !slices.Equal(h.Volumes, []string{v.Name}) {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
	"an external volume that is missing is not found": func(b *bench) {
		b.is(b.EnsureVolume(b.ctx(), b.stack, rhumb.Volume{Name: b.stack + "_ext", External: true}), rhumb.NotFound)
	},
	"a volume that is defined otherwise is a conflict": func(b *bench) {
		v := rhumb.Volume{Key: "v", Name: b.stack + "_v",
			DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=10m"}}
		b.ok(b.CheckVolume(b.ctx(), b.stack, v))
		if h := b.holdings(); len(h.Volumes) != 0 {
			b.Errorf("a check made: %v", h.Volumes)
		}
		b.ok(b.EnsureVolume(b.ctx(), b.stack, v))
		// Neither the name of the engine's own driver nor labels make it another volume.
		v.Driver, v.Labels = "local", map[string]string{"x": "y"}
		b.ok(b.CheckVolume(b.ctx(), b.stack, v))
		for _, opts := range []map[string]string{nil, {"type": "tmpfs", "device": "tmpfs", "o": "size=20m"},
			{"type": "tmpfs", "device": "tmpfs"}} {
			v.DriverOpts = opts
			b.is(b.CheckVolume(b.ctx(), b.stack, v), rhumb.Conflict)
			b.is(b.EnsureVolume(b.ctx(), b.stack, v), rhumb.Conflict)
		}
		b.is(b.CheckVolume(b.ctx(), b.stack, rhumb.Volume{Name: b.stack + "_ext", External: true}), rhumb.NotFound)
	},
	"a volume that another stack made is a conflict": func(b *bench) {
		v := rhumb.Volume{Key: "v", Name: b.stack + "_v"}
		b.ok(b.EnsureVolume(b.ctx(), b.stack, v))
		b.is(b.CheckVolume(b.ctx(), b.stack+"x", v), rhumb.Conflict)
		v.External = true
		b.ok(b.CheckVolume(b.ctx(), b.stack+"x", v))
	},
	"a volume without labels is used as it is": func(b *bench) {
		b.o.AddVolume(b.T, b.Engine, b.stack+"_v")
		b.ok(b.EnsureVolume(b.ctx(), b.stack, rhumb.Volume{Name: b.stack + "_v"}))
		if h := b.holdings(); len(h.Volumes) != 0 {
			b.Errorf("it counts as the stack's: %v", h)
		}
		other := rhumb.Volume{Name: b.stack + "_v", DriverOpts: map[string]string{"type": "tmpfs"}}
		b.is(b.CheckVolume(b.ctx(), b.stack, other), rhumb.Conflict)
		b.is(b.RemoveVolume(b.ctx(), b.stack, b.stack+"_v"), rhumb.Conflict)
	},
	"a volume is removed once no replica uses it": func(b *bench) {
		v := rhumb.Volume{Name: b.stack + "_v"}
		b.ok(b.EnsureVolume(b.ctx(), b.stack, v))
		mount := rhumb.Mount{Type: rhumb.MountVolume, Source: v.Name, Target: "/data"}
		r := b.start(b.specOf("db", rhumb.Container{Mounts: []rhumb.Mount{mount}}))
		b.is(b.RemoveVolume(b.ctx(), b.stack, v.Name), rhumb.Conflict)
		b.ok(b.Stop(b.ctx(), r.ID))
		b.is(b.RemoveVolume(b.ctx(), b.stack, v.Name), rhumb.Conflict) // a dead one uses it too
		b.ok(b.Remove(b.ctx(), r.ID))
		b.ok(b.RemoveVolume(b.ctx(), b.stack, v.Name))
		b.ok(b.RemoveVolume(b.ctx(), b.stack, v.Name))
	},
	"holdings are sorted": func(b *bench) {
		for _, name := range []string{"_c", "_a", "_b"} {
			b.ok(b.EnsureVolume(b.ctx(), b.stack, rhumb.Volume{Name: b.stack + name}))
		}
		if h := b.holdings(); !slices.Equal(h.Volumes, []string{b.stack + "_a", b.stack + "_b", b.stack + "_c"}) {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
}

// holdings returns the holdings of the test's stack.
func (b *bench) holdings() rhumb.Holdings {
	b.Helper()
	h, err := b.Holdings(b.ctx(), b.stack)
	b.ok(err)
	return h
}

// network creates a network of the test's stack and returns its name.
func (b *bench) network(key string) string {
	b.Helper()
	n := rhumb.Network{Key: key, Name: b.stack + "_" + key}
	b.ok(b.EnsureNetwork(b.ctx(), b.stack, n))
	return n.Name
}
