package docker_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker"
)

func TestTheNamelessVolumeOfAOneOffGoesWithItHoweverItEnds(t *testing.T) {
	need(t)
	image := changed(t, declaringTag, `VOLUME /data`)
	for name, network := range map[string]string{"ended": "_n", "never ran": "_not there"} {
		t.Run(name, func(t *testing.T) {
			e, stack := need(t), stackName(t)
			ensure(t, e, stack, rhumb.Network{Name: stack + "_n"})
			var volume string
			c := newCord(t)
			c.hear(func(request []byte) {
				if !bytes.HasPrefix(request, []byte("DELETE ")) {
					return
				}
				list, err := raw(t).ContainerList(t.Context(), client.ContainerListOptions{All: true,
					Filters: client.Filters{}.Add("label", "dev.rhumb.stack="+stack)})
				if err == nil && len(list.Items) == 1 && len(list.Items[0].Mounts) == 1 {
					volume = list.Items[0].Mounts[0].Name
				}
			})
			heard, err := docker.New(docker.Options{Host: "unix://" + c.path})
			if err != nil {
				t.Fatal(err)
			}
			defer heard.Close()
			s := spec(t, stack, "web", 1, "exit", "0")
			s.OneOff, s.Container.ImageID, s.Container.NetworkMode = "abc", image, ""
			s.Container.Networks = []rhumb.Attachment{{Network: stack + "_n"}, {Network: stack + network}}
			if network == "_n" {
				s.Container.Networks = s.Container.Networks[:1]
			}
			if _, err := heard.Run(t.Context(), s, rhumb.Streams{}); (err == nil) != (network == "_n") {
				t.Errorf("run: %v", err)
			}
			c.cut()
			if volume == "" {
				t.Fatal("it had no volume")
			}
			if _, err := raw(t).VolumeInspect(t.Context(), volume, client.VolumeInspectOptions{}); err == nil {
				t.Error("its volume is left")
				_, _ = raw(t).VolumeRemove(t.Context(), volume, client.VolumeRemoveOptions{})
			}
		})
	}
}

func TestAOneOffWhoseCallerLeavesWhileItIsMadeIsNotLeft(t *testing.T) {
	e, stack := need(t), stackName(t)
	s := spec(t, stack, "web", 1, "exit", "0")
	s.OneOff = "abc"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newCord(t)
	c.hear(func(request []byte) {
		if bytes.HasPrefix(request, []byte("POST ")) && bytes.Contains(request, []byte("/containers/create")) {
			time.AfterFunc(20*time.Millisecond, cancel) // it has read the rest by then, and is at it
		}
	})
	heard, err := docker.New(docker.Options{Host: "unix://" + c.path})
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	if _, err := heard.Run(ctx, s, rhumb.Streams{}); rhumb.ErrorCode(err) != rhumb.Cancelled {
		t.Errorf("run: %v", err)
	}
	// The engine finishes the creation even if its caller has gone. It takes less than half a second.
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if rs, err := e.Replicas(t.Context(), stack); err != nil || len(rs) != 0 {
			t.Fatalf("left: %+v, %v", rs, err)
		}
	}
}
