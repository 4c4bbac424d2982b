package docker_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker"
	"rhumb/engine/enginetest"
)

func TestDockerKeepsTheContract(t *testing.T) {
	need(t)
	enginetest.Run(t, func(t *testing.T) rhumb.Engine { return open(t) }, enginetest.Options{
		Image:     rhumb.Image{Ref: testTag, ID: image(t)},
		Declaring: rhumb.Image{Ref: declaringTag, ID: changed(t, declaringTag, `VOLUME /data`)},
		NewImage: func(t *testing.T, _ rhumb.Engine, tag string) rhumb.Image {
			id := changed(t, tag, "LABEL made.for="+tag)
			t.Cleanup(func() { _, _ = raw(t).ImageRemove(context.Background(), id, client.ImageRemoveOptions{Force: true}) })
			return rhumb.Image{Ref: tag, ID: id}
		},
		AddNetwork: func(t *testing.T, _ rhumb.Engine, name string) {
			r, err := raw(t).NetworkCreate(t.Context(), name, client.NetworkCreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = raw(t).NetworkRemove(context.Background(), r.ID, client.NetworkRemoveOptions{}) })
		},
		AddVolume: func(t *testing.T, _ rhumb.Engine, name string) {
			if _, err := raw(t).VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _, _ = raw(t).VolumeRemove(context.Background(), name, client.VolumeRemoveOptions{}) })
		},
		Kill: func(t *testing.T, _ rhumb.Engine, id string) {
			if _, err := raw(t).ContainerKill(t.Context(), id, client.ContainerKillOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		Clear: func(t *testing.T, _ rhumb.Engine, stack string) { sweep(t, stack) },
		Away:  away,
	})
}

// away gives an engine whose socket isn't there.
func away(t *testing.T) rhumb.Engine {
	t.Helper()
	e, err := docker.New(docker.Options{Host: "unix://" + filepath.Join(t.TempDir(), "no.sock"), Files: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// changed makes a copy of the test image with changes to its configuration, and gives its ID.
func changed(t *testing.T, tag string, changes ...string) string {
	t.Helper()
	tarball, err := testTar()
	if err != nil {
		t.Fatal(err)
	}
	id, err := importImage(tarball, tag, append([]string{`ENTRYPOINT ["/app"]`}, changes...)...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
