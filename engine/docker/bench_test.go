package docker_test

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
)

// TestAStartCostsLittleMoreThanTheEnginesOwnCalls measures Start beside the bare calls, taking turns: the machine may
// be busy.
func TestAStartCostsLittleMoreThanTheEnginesOwnCalls(t *testing.T) {
	e := need(t)
	c := raw(t)
	stack := stackName(t)
	n := stack + "_n"
	if err := e.EnsureNetwork(t.Context(), stack, rhumb.Network{Name: n}); err != nil {
		t.Fatal(err)
	}
	var ours, bare time.Duration
	const rounds = 5
	for i := range rounds {
		s := spec(t, stack, "web", i+1)
		s.Container.NetworkMode, s.Container.Networks = "", []rhumb.Attachment{{Network: n, Aliases: []string{"web"}}}
		begun := time.Now()
		r := start(t, e, s)
		ours += time.Since(begun)
		begun = time.Now()
		made, err := c.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Config:           &container.Config{Image: image(t), Labels: map[string]string{"dev.rhumb.stack": stack}},
			HostConfig:       &container.HostConfig{NetworkMode: container.NetworkMode(n)},
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{n: {}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
		bare += time.Since(begun)
		for _, id := range []string{r.ID, made.ID} {
			if _, err := c.ContainerRemove(t.Context(), id, client.ContainerRemoveOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("Start takes %v, the bare calls %v", ours/rounds, bare/rounds)
	if ours > 3*bare {
		t.Errorf("Start takes %v, the bare calls %v", ours/rounds, bare/rounds)
	}
}
