package enginetest

import (
	"context"
	"slices"

	"rhumb"
)

var startTests = map[string]func(*bench){
	"starting again what runs is not an error": func(b *bench) {
		s := b.spec("web")
		first, second := b.start(s), b.start(s)
		if first.ID != second.ID || second.State != rhumb.StateRunning {
			b.Errorf("first %+v, then %+v", first, second)
		}
	},
	"starting again what has exited answers it as it is": func(b *bench) {
		s := b.spec("job", "exit", "4")
		r := b.exited(b.start(s).ID)
		again := b.start(s)
		if again.ID != r.ID || again.State != rhumb.StateExited || again.ExitCode != 4 || !again.Started.Equal(r.Started) {
			b.Errorf("first %+v, then %+v", r, again)
		}
	},
	"the same name with another spec is a conflict": func(b *bench) {
		b.start(b.spec("web"))
		_, err := b.Start(b.ctx(), b.spec("web", "sleep", "1h"))
		b.is(err, rhumb.Conflict)
	},
	"a nameless volume is the slot's, and its next replica's": func(b *bench) {
		c := rhumb.Container{Mounts: []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}}
		first := b.specOf("db", c)
		b.gone(b.start(first).ID)
		next := b.specOf("db", c)
		next.Release = 2
		b.start(next)
		second := b.specOf("db", c)
		second.Slot = 2
		b.start(second)
		want := []string{rhumb.AnonymousVolumeName(b.stack, "db", 1, "/x"), rhumb.AnonymousVolumeName(b.stack, "db", 2, "/x")}
		if h := b.holdings(); !slices.Equal(h.Volumes, want) {
			b.Errorf("volumes %v, want %v", h.Volumes, want)
		}
	},
	"a volume that the image declares is the slot's": func(b *bench) {
		c := rhumb.Container{Image: b.o.Declaring.Ref, ImageID: b.o.Declaring.ID}
		b.start(b.specOf("db", c))
		if h := b.holdings(); !slices.Equal(h.Volumes, []string{rhumb.AnonymousVolumeName(b.stack, "db", 1, "/data")}) {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
	"a volume that the image declares is not made where something is mounted": func(b *bench) {
		c := rhumb.Container{Image: b.o.Declaring.Ref, ImageID: b.o.Declaring.ID,
			Mounts: []rhumb.Mount{{Type: rhumb.MountTmpfs, Target: "/data/"}}}
		b.start(b.specOf("db", c))
		if h := b.holdings(); len(h.Volumes) != 0 {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
	"files are in place before the replica starts": func(b *bench) {
		s := b.specOf("web", rhumb.Container{
			Command: []string{"cat", "/etc/app.conf", "cat", "/run/secrets/key"},
			Mounts: []rhumb.Mount{
				{Type: rhumb.MountFile, Kind: rhumb.FileConfig, Source: "conf", Target: "/etc/app.conf", Hash: "1"},
				{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "key", Target: "/run/secrets/key", Hash: "2", Mode: 0o400},
			},
		})
		s.Files = []rhumb.File{
			{Kind: rhumb.FileConfig, Name: "key", Content: []byte("not this\n")},
			{Kind: rhumb.FileConfig, Name: "conf", Content: []byte("a config\n")},
			{Kind: rhumb.FileSecret, Name: "key", Content: []byte("a secret\n")},
		}
		r := b.exited(b.start(s).ID)
		got := b.lines(r.ID, rhumb.LogOptions{})
		if !slices.Equal(texts(got), []string{"a config", "a secret"}) || r.ExitCode != 0 {
			b.Errorf("read %q, exit code %d", texts(got), r.ExitCode)
		}
	},
	"a file may be empty": func(b *bench) {
		s := b.specOf("web", rhumb.Container{
			Command: []string{"cat", "/etc/nil.conf", "cat", "/etc/empty.conf", "cat", "/etc/app.conf"},
			Mounts: []rhumb.Mount{
				{Type: rhumb.MountFile, Kind: rhumb.FileConfig, Source: "nil", Target: "/etc/nil.conf"},
				{Type: rhumb.MountFile, Kind: rhumb.FileConfig, Source: "empty", Target: "/etc/empty.conf"},
				{Type: rhumb.MountFile, Kind: rhumb.FileConfig, Source: "full", Target: "/etc/app.conf"},
			},
		})
		s.Files = []rhumb.File{{Kind: rhumb.FileConfig, Name: "nil"},
			{Kind: rhumb.FileConfig, Name: "empty", Content: []byte{}},
			{Kind: rhumb.FileConfig, Name: "full", Content: []byte("the only line\n")}}
		r := b.exited(b.start(s).ID)
		if got := b.lines(r.ID, rhumb.LogOptions{}); !slices.Equal(texts(got), []string{"the only line"}) || r.ExitCode != 0 {
			b.Errorf("read %q, exit code %d", texts(got), r.ExitCode)
		}
	},
	"a file without content is invalid": func(b *bench) {
		_, err := b.Start(b.ctx(), b.specOf("web", rhumb.Container{
			Mounts: []rhumb.Mount{{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "key", Target: "/key"}},
		}))
		b.is(err, rhumb.Invalid)
		b.nothing()
	},
	"what can't be started stays and says why": func(b *bench) {
		s := b.specOf("web", rhumb.Container{Entrypoint: []string{"/no/such/program"}})
		r := b.start(s)
		for _, r := range []rhumb.Replica{r, b.look(r.ID), b.start(s)} {
			if r.State != rhumb.StateExited || r.Error == "" || r.ExitCode == 0 || !r.Started.IsZero() {
				b.Errorf("it has not failed: %+v", r)
			}
		}
		b.ok(b.Stop(b.ctx(), r.ID))
		b.ok(b.Remove(b.ctx(), r.ID))
	},
	"an image that is not there is invalid": func(b *bench) {
		gone := b.built()
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 1, gone.ID))
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 1, true))
		_, err := b.Start(b.ctx(), b.specOf("web", rhumb.Container{Image: gone.Ref, ImageID: gone.ID}))
		b.is(err, rhumb.Invalid)
		b.nothing()
	},
	"a network that is not there is invalid, and nothing is left": func(b *bench) {
		_, err := b.Start(b.ctx(), b.specOf("web", rhumb.Container{Networks: []rhumb.Attachment{{Network: b.stack + "_no"}}}))
		b.is(err, rhumb.Invalid)
		b.nothing()
		n := b.network("yes")
		_, err = b.Start(b.ctx(), b.specOf("web", rhumb.Container{
			Networks: []rhumb.Attachment{{Network: n}, {Network: b.stack + "_no"}}}))
		b.is(err, rhumb.Invalid)
		b.nothing()
	},
	"a volume that is not there is invalid, and not made in silence": func(b *bench) {
		_, err := b.Start(b.ctx(), b.specOf("web", rhumb.Container{
			Mounts: []rhumb.Mount{{Type: rhumb.MountVolume, Source: b.stack + "_no", Target: "/data"}}}))
		b.is(err, rhumb.Invalid)
		b.is(b.EnsureVolume(b.ctx(), b.stack, rhumb.Volume{Name: b.stack + "_no", External: true}), rhumb.NotFound)
		b.nothing()
	},
	"a slot's volumes stay when its next replica can't be made": func(b *bench) {
		mounts := []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}
		b.gone(b.start(b.specOf("db", rhumb.Container{Image: b.o.Declaring.Ref, ImageID: b.o.Declaring.ID,
			Mounts: mounts})).ID)
		before := b.holdings().Volumes
		next := b.specOf("db", rhumb.Container{Image: b.o.Declaring.Ref, ImageID: b.o.Declaring.ID, Mounts: mounts,
			Networks: []rhumb.Attachment{{Network: b.network("yes")}, {Network: b.stack + "_no"}}})
		next.Release = 2
		_, err := b.Start(b.ctx(), next)
		b.is(err, rhumb.Invalid)
		if after := b.holdings().Volumes; len(before) != 2 || !slices.Equal(before, after) {
			b.Errorf("volumes: %v, then %v", before, after)
		}
	},
	"a port of the host that is taken is a conflict, and nothing is left": func(b *bench) {
		n := b.network("n")
		c := rhumb.Container{Networks: []rhumb.Attachment{{Network: n}},
			HostPorts: []rhumb.Port{{HostIP: "127.0.0.1", Published: 39187, Target: 80, Protocol: rhumb.TCP}}}
		r := b.start(b.specOf("one", c))
		_, err := b.Start(b.ctx(), b.specOf("two", c))
		b.is(err, rhumb.Conflict)
		b.gone(r.ID)
		b.nothing()
		b.start(b.specOf("two", c)) // once it is free, the same call works
	},
	"a call that was cancelled says so": func(b *bench) {
		ctx, cancel := context.WithCancel(b.ctx())
		cancel()
		_, err := b.Start(ctx, b.spec("web"))
		b.is(err, rhumb.Cancelled)
		b.start(b.spec("web")) // and can be made again
	},
}

// nothing checks that the stack has no replicas.
func (b *bench) nothing() {
	b.Helper()
	rs, err := b.Replicas(b.ctx(), b.stack)
	if err != nil || len(rs) != 0 {
		b.Fatalf("replicas: %+v, %v", rs, err)
	}
}
