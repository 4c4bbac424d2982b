package enginetest

import (
	"context"
	"time"

	"rhumb"
)

var hookTests = map[string]func(*bench){
	"a replica reports that commands must run in it first": func(b *bench) {
		s := b.spec("web", "sleep", "1h")
		s.PostStart = true
		if r := b.start(s); !r.PostStart || !b.look(r.ID).PostStart {
			b.Errorf("it doesn't: %+v", r)
		}
		if other := b.start(b.spec("other", "sleep", "1h")); other.PostStart {
			b.Errorf("another one does: %+v", other)
		}
	},
	"a one-off may have a slot's nameless volumes, which stay": func(b *bench) {
		mounts := []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}
		s := b.specOf("web", rhumb.Container{Command: []string{"exit", "0"}, Mounts: mounts})
		s.OneOff, s.VolumesOf, s.Slot = "abc", "web", 3
		_, err := commands(b).Run(b.ctx(), s, rhumb.Streams{})
		b.ok(err)
		if h := b.holdings(); len(h.Volumes) != 1 || h.Volumes[0] != rhumb.AnonymousVolumeName(b.stack, "web", 3, "/x") {
			b.Errorf("volumes: %v", h.Volumes)
		}
		b.nothing()
	},
	"a job may have another service's nameless volumes": func(b *bench) {
		mounts := []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}
		s := b.specOf("web.pre_start.1", rhumb.Container{Command: []string{"exit", "0"}, Mounts: mounts})
		s.VolumesOf = "web"
		b.exited(b.start(s).ID)
		if h := b.holdings(); len(h.Volumes) != 1 || h.Volumes[0] != rhumb.AnonymousVolumeName(b.stack, "web", 1, "/x") {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
	"a one-off shows while it runs, and goes with its caller": func(b *bench) {
		s := b.spec("web", "sleep", "40m", "exit", "0")
		s.OneOff = "abc"
		ctx, cancel := context.WithCancel(b.ctx())
		done := make(chan error, 1)
		runner := commands(b)
		go func() { _, err := runner.Run(ctx, s, rhumb.Streams{}); done <- err }()
		b.within(20*time.Second, "it runs", func() bool {
			rs, err := b.Replicas(b.ctx(), b.stack)
			return err == nil && len(rs) == 1 && rs[0].OneOff == "abc" && rs[0].Alive()
		})
		cancel()
		if err := <-done; err == nil {
			b.Error("no error")
		}
		b.nothing()
	},
}
