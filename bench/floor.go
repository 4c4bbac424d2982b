package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"
)

// floor starts the same containers with raw API calls: no tool can be faster.
type floor struct {
	o options
	d *client.Client
}

const floorLabel = "dev.rhumb.bench"

func newFloor(ctx context.Context, o options) (*floor, error) {
	d, err := client.New(client.FromEnv)
	if err != nil {
		return nil, err
	}
	if _, err := d.ImageInspect(ctx, o.image); err != nil {
		return nil, fmt.Errorf("image %s: %w (scripts/test-images builds it)", o.image, err)
	}
	return &floor{o: o, d: d}, nil
}

// network is a network of the floor's own. Compose files have one, and it takes longer than the engine's default
// bridge.
const network = "rhumb-bench-floor"

func (f *floor) network(ctx context.Context) error {
	_, err := f.d.NetworkCreate(ctx, network, client.NetworkCreateOptions{Labels: map[string]string{floorLabel: "1"}})
	return err
}

// replica measures creating and starting a container until it answers.
func (f *floor) replica(ctx context.Context, round int) (time.Duration, error) {
	defer f.clean(ctx)
	if err := f.network(ctx); err != nil {
		return 0, err
	}
	return timed(func() error {
		id, err := f.start(ctx, fmt.Sprintf("rhumb-bench-floor-%d", round))
		if err != nil {
			return err
		}
		return f.answer(ctx, id)
	})
}

// stack measures n containers on a network of their own, side at a time.
func (f *floor) stack(ctx context.Context, n, side int) (time.Duration, error) {
	defer f.clean(ctx)
	return timed(func() error {
		if err := f.network(ctx); err != nil {
			return err
		}
		g, ctx := errgroup.WithContext(ctx)
		tokens := make(chan struct{}, side)
		for i := range n {
			g.Go(func() error {
				tokens <- struct{}{}
				id, err := f.start(ctx, fmt.Sprintf("rhumb-bench-floor-%d", i))
				<-tokens
				if err != nil {
					return err
				}
				return f.answer(ctx, id)
			})
		}
		return g.Wait()
	})
}

func (f *floor) start(ctx context.Context, name string) (string, error) {
	c, err := f.d.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image: f.o.image, Env: []string{"ADDR=:8000", "START_DELAY=" + f.o.delay.String()},
			Labels: map[string]string{floorLabel: "1"},
		},
		HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(network)},
	})
	if err != nil {
		return "", err
	}
	_, err = f.d.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
	return c.ID, err
}

// answer waits until the container's port accepts a connection. It tries every 2 ms.
func (f *floor) answer(ctx context.Context, id string) error {
	got, err := f.d.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	addr := net.JoinHostPort(got.Container.NetworkSettings.Networks[network].IPAddress.String(), "8000")
	return answers(ctx, addr)
}

func answers(ctx context.Context, addr string) error {
	deadline := time.Now().Add(30 * time.Second)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("%s doesn't answer", addr)
}

// clean removes what the floor created.
func (f *floor) clean(ctx context.Context) {
	mine := client.Filters{}.Add("label", floorLabel+"=1")
	list, err := f.d.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		_, _ = f.d.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
	}
	_, _ = f.d.NetworkRemove(ctx, network, client.NetworkRemoveOptions{})
}
