package enginetest

import (
	"rhumb"
)

var processTests = map[string]func(*bench){
	"each running replica has a process of its own": func(b *bench) {
		ps := processes(b)
		one, two := b.start(b.spec("web")), b.start(b.spec("db"))
		p, err := ps.Process(b.ctx(), one.ID)
		b.ok(err)
		q, err := ps.Process(b.ctx(), two.ID)
		b.ok(err)
		if p.PID <= 1 || q.PID <= 1 || p.PID == q.PID {
			b.Errorf("processes %+v and %+v", p, q)
		}
		again, err := ps.Process(b.ctx(), one.ID)
		b.ok(err)
		if again != p {
			b.Errorf("it was %+v, now %+v", p, again)
		}
	},
	"a process says whether it has a network of its own": func(b *bench) {
		for mode, want := range map[string]bool{"none": true, "host": false} {
			r := b.start(b.specOf("net"+mode, rhumb.Container{NetworkMode: mode}))
			if p, err := processes(b).Process(b.ctx(), r.ID); err != nil || p.Network != want {
				b.Errorf("%s: %+v, %v", mode, p, err)
			}
		}
	},
	"a dead replica has no process": func(b *bench) {
		r := b.start(b.spec("web"))
		b.ok(b.Stop(b.ctx(), r.ID))
		_, err := processes(b).Process(b.ctx(), r.ID)
		b.is(err, rhumb.Conflict)
		b.ok(b.Remove(b.ctx(), r.ID))
		_, err = processes(b).Process(b.ctx(), r.ID)
		b.is(err, rhumb.NotFound)
	},
}
