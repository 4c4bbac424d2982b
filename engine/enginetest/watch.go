package enginetest

import (
	"context"
	"time"

	"rhumb"
)

var watchTests = map[string]func(*bench){
	"a watch reports a start, an exit and a removal": func(b *bench) {
		changes, err := b.Watch(b.ctx())
		b.ok(err)
		r := b.start(b.spec("web"))
		b.reported(changes, func() bool { return b.look(r.ID).State == rhumb.StateRunning })
		b.o.Kill(b.T, b.Engine, r.ID)
		b.reported(changes, func() bool { return b.look(r.ID).State == rhumb.StateExited })
		b.ok(b.Remove(b.ctx(), r.ID))
		b.reported(changes, func() bool { return b.look(r.ID).ID == "" })
	},
	"a watch reports an exit without a stop": func(b *bench) {
		changes, err := b.Watch(b.ctx())
		b.ok(err)
		r := b.start(b.spec("web", "sleep", "300ms", "exit", "1"))
		b.reported(changes, func() bool { return b.look(r.ID).State == rhumb.StateExited })
	},
	"a watch reports health": func(b *bench) {
		changes, err := b.Watch(b.ctx())
		b.ok(err)
		check := &rhumb.Healthcheck{Test: []string{"CMD", "/app", "exit", "0"}, Interval: 100 * time.Millisecond}
		r := b.start(b.specOf("web", rhumb.Container{Health: check}))
		b.reported(changes, func() bool { return b.look(r.ID).Health == rhumb.HealthHealthy })
	},
	"a watch ends with its context": func(b *bench) {
		ctx, cancel := context.WithCancel(b.ctx())
		changes, err := b.Watch(ctx)
		b.ok(err)
		cancel()
		deadline := time.After(10 * time.Second)
		for {
			select {
			case _, ok := <-changes:
				if !ok {
					return
				}
			case <-deadline:
				b.Fatal("the channel is still open")
			}
		}
	},
	"an unread watch does not stop the engine, and loses nothing": func(b *bench) {
		changes, err := b.Watch(b.ctx())
		b.ok(err)
		ids := map[string]bool{}
		for _, service := range []string{"a", "b", "c"} {
			r := b.start(b.spec(service, "exit", "0"))
			b.exited(r.ID)
			b.ok(b.Remove(b.ctx(), r.ID))
			ids[r.ID] = true
		}
		deadline := time.After(10 * time.Second)
		for len(ids) > 0 {
			select {
			case c := <-changes:
				delete(ids, c.Replica)
				if c == (rhumb.Change{}) {
					return // everything may have changed
				}
			case <-deadline:
				b.Fatalf("never reported: %v", ids)
			}
		}
	},
}

// reported reads changes until seen returns true. It fails if that takes too long.
func (b *bench) reported(changes <-chan rhumb.Change, seen func() bool) {
	b.Helper()
	deadline := time.After(20 * time.Second)
	for !seen() {
		select {
		case c, ok := <-changes:
			if !ok {
				b.Fatal("the watch has ended")
			}
			if c.Stack != b.stack && c.Stack != "" {
				continue
			}
		case <-deadline:
			b.Fatal("no change was reported")
		}
	}
}
