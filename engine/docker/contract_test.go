package docker_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
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
		Built: func(t *testing.T, e rhumb.Engine, tag string) rhumb.Image {
			id := changed(t, tag, "LABEL made.for="+tag)
			if err := e.(*docker.Engine).MarkBuilt(t.Context(), tag, id); err != nil {
				t.Fatal(err)
			}
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
		Hosts: hosts,
		Disconnect: func(t *testing.T, _ rhumb.Engine, id, network string) {
			if _, err := raw(t).NetworkDisconnect(t.Context(), network,
				client.NetworkDisconnectOptions{Container: id}); err != nil {
				t.Fatal(err)
			}
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

// hosts reads a running replica's hosts file from inside.
func hosts(t *testing.T, e rhumb.Engine, id string) map[string]string {
	t.Helper()
	var out bytes.Buffer
	code, err := e.(rhumb.CommandRunner).Exec(t.Context(), id, rhumb.ExecOptions{
		Command: []string{"/app", "cat", "/etc/hosts"}, Streams: rhumb.Streams{Out: &out}})
	if err != nil || code != 0 {
		t.Fatalf("read the hosts file: %d, %v", code, err)
	}
	found := map[string]string{}
	for line := range strings.Lines(out.String()) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 && found[f[1]] == "" {
			found[f[1]] = f[0]
		}
	}
	return found
}

// away returns an engine whose socket isn't there.
func away(t *testing.T) rhumb.Engine {
	t.Helper()
	e, err := docker.New(docker.Options{Host: "unix://" + filepath.Join(t.TempDir(), "no.sock"), Files: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// changed makes a copy of the test image with changes to its configuration, and returns its ID.
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
