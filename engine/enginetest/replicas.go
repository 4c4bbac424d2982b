package enginetest

import (
	"slices"
	"time"

	"rhumb"
)

var replicaTests = map[string]func(*bench){
	"an engine describes itself": func(b *bench) {
		i, err := b.Info(b.ctx())
		b.ok(err)
		if i.Name == "" || i.Version == "" || i.APIVersion == "" || i.OS == "" || i.Arch == "" || i.Root == "" ||
			i.CPUs < 1 || i.Memory < 1 {
			b.Errorf("something is missing: %+v", i)
		}
	},
	"replicas are sorted by service, release and slot, and dead ones are among them": func(b *bench) {
		var want []string
		for _, s := range []rhumb.ReplicaSpec{b.spec("a"), b.spec("b"), b.spec("b"), b.spec("b", "exit", "0"), b.spec("c")} {
			s.Slot, s.Release = 1, 9
			switch len(want) {
			case 2:
				s.Slot = 2
			case 3:
				s.Release = 10
			}
			want = append(want, s.Name())
		}
		for _, i := range []int{4, 2, 0, 3, 1} {
			s := b.spec(want[i][len(b.stack)+1 : len(b.stack)+2])
			if i == 3 {
				s = b.spec("b", "exit", "0")
			}
			s.Release, s.Slot = 9, 1
			if i == 2 {
				s.Slot = 2
			}
			if i == 3 {
				s.Release = 10
			}
			b.start(s)
		}
		rs, err := b.Replicas(b.ctx(), b.stack)
		b.ok(err)
		var got []string
		for _, r := range rs {
			got = append(got, r.Name())
		}
		if !slices.Equal(got, want) {
			b.Errorf("got  %v\nwant %v", got, want)
		}
	},
	"no stack's name lists all stacks' replicas, and another's none of these": func(b *bench) {
		r := b.start(b.spec("web"))
		all, err := b.Replicas(b.ctx(), "")
		b.ok(err)
		if !slices.ContainsFunc(all, func(o rhumb.Replica) bool { return o.ID == r.ID }) {
			b.Errorf("%s is not among all", r.Name())
		}
		others, err := b.Replicas(b.ctx(), b.stack+"x")
		if err != nil || len(others) != 0 {
			b.Errorf("another stack's: %v, %v", others, err)
		}
	},
	"a replica keeps what it was made from": func(b *bench) {
		s := b.spec("web")
		s.Release, s.Slot, s.Restarts = 42, 3, 2
		r := b.start(s)
		again := b.look(r.ID)
		for _, r := range []rhumb.Replica{r, again} {
			if r.Stack != b.stack || r.Service != "web" || r.Release != 42 || r.Slot != 3 || r.Restarts != 2 ||
				r.Spec != s.Spec || r.ImageID != b.o.Image.ID || r.State != rhumb.StateRunning || r.Created.IsZero() ||
				r.Started.IsZero() || !r.Finished.IsZero() {
				b.Errorf("not what it was made from: %+v", r)
			}
		}
	},
	"a replica has an address on each of its networks": func(b *bench) {
		one, two := b.network("one"), b.network("two")
		r := b.start(b.specOf("web", rhumb.Container{
			Networks: []rhumb.Attachment{{Network: one, Aliases: []string{"web"}}, {Network: two}}}))
		other := b.spec("other")
		other.Container.NetworkMode, other.Container.Networks = "", []rhumb.Attachment{{Network: one}}
		o := b.start(other)
		if len(r.Addrs) != 2 || !r.Addrs[one].IsValid() || !r.Addrs[two].IsValid() || r.Addrs[one] == r.Addrs[two] ||
			r.Addrs[one] == o.Addrs[one] {
			b.Errorf("addresses: %v and %v", r.Addrs, o.Addrs)
		}
	},
	"an exit is reported with its code": func(b *bench) {
		r := b.exited(b.start(b.spec("web", "exit", "3")).ID)
		if r.ExitCode != 3 || r.Finished.IsZero() || r.OOM || r.Error != "" || len(r.Addrs) != 0 {
			b.Errorf("exited: %+v", r)
		}
	},
	"stopping sends the stop signal": func(b *bench) {
		r := b.start(b.spec("web", "trap", "print", "up", "sleep", "1h"))
		b.waitLine(r.ID, "up")
		b.ok(b.Stop(b.ctx(), r.ID))
		if r = b.look(r.ID); r.State != rhumb.StateExited || r.ExitCode != 0 {
			b.Errorf("stopped: %+v", r)
		}
	},
	"what ignores the stop signal is killed after its grace": func(b *bench) {
		r := b.start(b.specOf("web", rhumb.Container{
			Command: []string{"ignore", "print", "up", "sleep", "1h"}, StopGrace: time.Second}))
		b.waitLine(r.ID, "up")
		begun := time.Now()
		b.ok(b.Stop(b.ctx(), r.ID))
		if r = b.look(r.ID); r.State != rhumb.StateExited || r.ExitCode != 137 || time.Since(begun) > 8*time.Second {
			b.Errorf("stopped after %v: %+v", time.Since(begun), r)
		}
	},
	"stopping what has exited or is gone is not an error": func(b *bench) {
		r := b.exited(b.start(b.spec("web", "exit", "3")).ID)
		b.ok(b.Stop(b.ctx(), r.ID))
		b.ok(b.Stop(b.ctx(), r.ID))
		if got := b.look(r.ID); got.ExitCode != 3 {
			b.Errorf("stopping changed it: %+v", got)
		}
		b.ok(b.Remove(b.ctx(), r.ID))
		b.ok(b.Stop(b.ctx(), r.ID))
	},
	"removing what runs is a conflict, and what is gone is not an error": func(b *bench) {
		r := b.start(b.spec("web"))
		b.is(b.Remove(b.ctx(), r.ID), rhumb.Conflict)
		b.ok(b.Stop(b.ctx(), r.ID))
		b.ok(b.Remove(b.ctx(), r.ID))
		b.ok(b.Remove(b.ctx(), r.ID))
		if got := b.look(r.ID); got.ID != "" {
			b.Errorf("still there: %+v", got)
		}
	},
	"removing leaves volumes, anonymous ones too": func(b *bench) {
		r := b.start(b.specOf("db", rhumb.Container{Mounts: []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}}))
		b.gone(r.ID)
		if h := b.holdings(); !slices.Equal(h.Volumes, []string{rhumb.AnonymousVolumeName(b.stack, "db", 1, "/x")}) {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
}
