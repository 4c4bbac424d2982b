package enginetest

import (
	"strings"
	"time"

	"rhumb"
)

var probeTests = map[string]func(*bench){
	"a probe that ends with 0 is healthy": func(b *bench) {
		r := b.start(b.spec("web"))
		b.ok(prober(b).Probe(b.ctx(), r.ID, rhumb.Healthcheck{Test: []string{"CMD", "/app", "print", "fine", "exit", "0"}}))
	},
	"a probe that fails says its output": func(b *bench) {
		r := b.start(b.spec("web"))
		err := prober(b).Probe(b.ctx(), r.ID, rhumb.Healthcheck{
			Test: []string{"CMD", "/app", "print", "no database", "exit", "1"}})
		if err == nil || err.Error() != "no database" {
			b.Errorf("error: %v", err)
		}
	},
	"a probe past its timeout is killed": func(b *bench) {
		r := b.start(b.spec("web"))
		begun := time.Now()
		err := prober(b).Probe(b.ctx(), r.ID, rhumb.Healthcheck{
			Test: []string{"CMD", "/app", "print", "slow", "sleep", "1h"}, Timeout: 500 * time.Millisecond})
		b.is(err, rhumb.Timeout)
		if took := time.Since(begun); took > 10*time.Second || !strings.Contains(err.Error(), "slow") {
			b.Errorf("after %v: %v", took, err)
		}
	},
	"no check is healthy": func(b *bench) {
		r := b.start(b.spec("web"))
		b.ok(prober(b).Probe(b.ctx(), r.ID, rhumb.Healthcheck{Test: []string{"NONE"}}))
		b.ok(prober(b).Probe(b.ctx(), r.ID, rhumb.Healthcheck{}))
	},
	"a probe needs a replica that runs": func(b *bench) {
		check := rhumb.Healthcheck{Test: []string{"CMD", "/app", "exit", "0"}}
		b.is(prober(b).Probe(b.ctx(), "nosuchreplica", check), rhumb.NotFound)
		r := b.exited(b.start(b.spec("web", "exit", "0")).ID)
		b.is(prober(b).Probe(b.ctx(), r.ID, check), rhumb.Conflict)
	},
}
