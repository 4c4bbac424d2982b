package enginetest

import (
	"rhumb"
)

var hostsTests = map[string]func(*bench){
	"further hosts are there from the start, and replaced later": func(b *bench) {
		s := b.spec("web")
		s.Hosts = map[string]string{"api": "10.9.8.7", "db": "10.9.8.6"}
		r := b.start(s)
		b.hosts(r.ID, map[string]string{"api": "10.9.8.7", "db": "10.9.8.6", "cache": ""})
		for range 2 {
			b.ok(setter(b).SetHosts(b.ctx(), r.ID, map[string]string{"api": "10.9.8.5", "cache": "10.9.8.4"}))
			b.hosts(r.ID, map[string]string{"api": "10.9.8.5", "cache": "10.9.8.4", "db": ""})
		}
		b.ok(setter(b).SetHosts(b.ctx(), r.ID, map[string]string{"db": "10.9.8.6"}))
		b.hosts(r.ID, map[string]string{"db": "10.9.8.6", "api": "", "cache": ""})
		b.ok(setter(b).SetHosts(b.ctx(), r.ID, nil))
		b.hosts(r.ID, map[string]string{"api": "", "cache": "", "db": ""})
	},
	"extra hosts of the user's win": func(b *bench) {
		s := b.specOf("web", rhumb.Container{ExtraHosts: []string{"api:10.1.1.1", "old:10.1.1.2"}})
		s.Hosts = map[string]string{"api": "10.9.8.7", "db": "10.9.8.6"}
		r := b.start(s)
		b.hosts(r.ID, map[string]string{"api": "10.1.1.1", "old": "10.1.1.2", "db": "10.9.8.6"})
		b.ok(setter(b).SetHosts(b.ctx(), r.ID, map[string]string{"api": "10.9.8.7"}))
		b.hosts(r.ID, map[string]string{"api": "10.1.1.1", "old": "10.1.1.2", "db": ""})
	},
	"names and addresses that can't stand in a hosts file are invalid": func(b *bench) {
		r := b.start(b.spec("web"))
		for name, addr := range map[string]string{"a b": "10.0.0.1", "a\nb": "10.0.0.1", "": "10.0.0.1", "a#b": "10.0.0.1",
			"a": "10.0.0", "b": "10.0.0.1\n"} {
			b.is(setter(b).SetHosts(b.ctx(), r.ID, map[string]string{name: addr}), rhumb.Invalid)
			s := b.spec("bad")
			s.Hosts = map[string]string{name: addr}
			_, err := b.Start(b.ctx(), s)
			b.is(err, rhumb.Invalid)
		}
	},
	"setting the hosts of a dead replica does nothing, of a removed one is not found": func(b *bench) {
		r := b.start(b.spec("web"))
		b.ok(b.Stop(b.ctx(), r.ID))
		b.ok(setter(b).SetHosts(b.ctx(), r.ID, map[string]string{"api": "10.9.8.7"}))
		b.ok(b.Remove(b.ctx(), r.ID))
		b.is(setter(b).SetHosts(b.ctx(), r.ID, nil), rhumb.NotFound)
	},
}

// hosts checks the addresses of some names in a replica's hosts file; "": it doesn't stand there.
func (b *bench) hosts(id string, want map[string]string) {
	b.Helper()
	got := b.o.Hosts(b.T, b.Engine, id)
	for name, addr := range want {
		if got[name] != addr {
			b.Errorf("%s has %q in the hosts file, want %q", name, got[name], addr)
		}
	}
}
