package enginetest

import (
	"time"

	"rhumb"
)

var imageTests = map[string]func(*bench){
	"an image that is there is resolved without a pull": func(b *bench) {
		for _, policy := range []rhumb.PullPolicy{"", rhumb.PullMissing, rhumb.PullNever} {
			img, err := images(b).Resolve(b.ctx(), rhumb.ImageRequest{Ref: b.o.Image.Ref, Policy: policy}, nil)
			b.ok(err)
			if img.ID != b.o.Image.ID || img.Ref != b.o.Image.Ref || img.Pulled {
				b.Errorf("policy %q: %+v", policy, img)
			}
		}
	},
	"an image reports its volumes": func(b *bench) {
		img, err := images(b).Resolve(b.ctx(), rhumb.ImageRequest{Ref: b.o.Declaring.Ref}, nil)
		b.ok(err)
		if len(img.Volumes) != 1 || img.Volumes[0] != "/data" {
			b.Errorf("volumes: %q", img.Volumes)
		}
	},
	"an image that is not there and is never pulled is not found": func(b *bench) {
		_, err := images(b).Resolve(b.ctx(), rhumb.ImageRequest{Ref: "rhumb-no-such-image:" + b.stack,
			Policy: rhumb.PullNever}, nil)
		b.is(err, rhumb.NotFound)
	},
	"an image is kept until it is released": func(b *bench) {
		img := b.built()
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 1, img.ID))
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 1, img.ID))
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 2, img.ID))
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 1, true))
		b.there(img, true) // another release keeps it
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 2, true))
		b.there(img, false)
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 2, true))
	},
	"an image that is released without being removed stays": func(b *bench) {
		img := b.built()
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 1, img.ID))
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 1, false))
		b.there(img, true)
	},
	"an image that a replica uses stays, even a dead one": func(b *bench) {
		img := b.built()
		r := b.start(b.specOf("web", rhumb.Container{Image: img.Ref, ImageID: img.ID, Entrypoint: []string{"/app"}}))
		b.ok(b.Stop(b.ctx(), r.ID))
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 1, img.ID))
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 1, true))
		b.there(img, true)
	},
	"only images that rhumb fetched are pruned, once they are not needed": func(b *bench) {
		image := func(name string) rhumb.Image { return b.o.Built(b.T, b.Engine, b.stack+"-"+name+":1") }
		idle, needed, kept, used := image("idle"), image("needed"), image("kept"), image("used")
		foreign := b.built()
		b.ok(images(b).Keep(b.ctx(), b.stack, "kept", 1, kept.ID))
		r := b.start(b.specOf("used", rhumb.Container{Image: used.Ref, ImageID: used.ID, Entrypoint: []string{"/app"}}))
		b.ok(b.Stop(b.ctx(), r.ID))
		b.sweep(time.Hour, needed)
		b.there(idle, true) // it was needed less than an hour ago
		b.sweep(0, needed)
		b.there(idle, false)
		for _, img := range []rhumb.Image{needed, kept, used, foreign} {
			b.there(img, true)
		}
		b.ok(b.Remove(b.ctx(), r.ID))
		b.ok(images(b).Release(b.ctx(), b.stack, "kept", 1, false)) // its name goes, and it stays
		b.there(kept, true)
		b.sweep(0)
		for _, img := range []rhumb.Image{needed, kept, used} {
			b.there(img, false)
		}
		b.there(foreign, true)
	},
	"what rhumb fetched is known as that later": func(b *bench) {
		img := b.o.Built(b.T, b.Engine, b.stack+"-web:1")
		for ref, want := range map[string]bool{img.Ref: true, b.built().Ref: false} {
			if img, err := images(b).Resolve(b.ctx(), rhumb.ImageRequest{Ref: ref}, nil); err != nil || img.Pulled != want {
				b.Errorf("%s: %+v, %v", ref, img, err)
			}
		}
		b.ok(images(b).Keep(b.ctx(), b.stack, "web", 1, img.ID))
		b.ok(images(b).Release(b.ctx(), b.stack, "web", 1, true))
		b.there(img, false) // with the note of it
	},
}

// sweep prunes images that have been unused for so long, except the needed ones.
func (b *bench) sweep(unused time.Duration, needed ...rhumb.Image) {
	b.Helper()
	ids := make([]string, len(needed))
	for i, img := range needed {
		ids[i] = img.ID
	}
	_, err := images(b).Sweep(b.ctx(), ids, unused)
	b.ok(err)
}

// there checks whether the engine has an image.
func (b *bench) there(img rhumb.Image, want bool) {
	b.Helper()
	_, err := images(b).Resolve(b.ctx(), rhumb.ImageRequest{Ref: img.Ref, Policy: rhumb.PullNever}, nil)
	if want {
		b.ok(err)
		return
	}
	b.is(err, rhumb.NotFound)
}
