package docker

import (
	"context"
	"iter"
	"net/netip"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/label"
)

// Life reports a replica's start or its death.
type Life struct {
	ID    string // the replica's
	Alive bool
	Addrs []netip.Addr // of a replica that is alive; empty: it has no address of its own
}

// Lives yields each of rhumb's replicas once, as dead or alive, and then every death and start as it happens. It ends
// with ctx, or with an error when the engine goes away. A replica may be yielded twice; the last value is true.
func (e *Engine) Lives(ctx context.Context) iter.Seq2[Life, error] {
	return func(yield func(Life, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if _, err := e.APIVersion(ctx); err != nil {
			yield(Life{}, err)
			return
		}
		s := e.events(ctx, client.Filters{}.Add("type", string(events.ContainerEventType)).
			Add("event", string(events.ActionDie), string(events.ActionStart)).Add("label", label.Stack))
		list, err := e.lives(ctx)
		if err != nil {
			yield(Life{}, err)
			return
		}
		for _, l := range list {
			if !yield(l, nil) {
				return
			}
		}
		if err := e.sendLives(ctx, s, yield); err != nil && ctx.Err() == nil {
			yield(Life{}, e.fail(err, "watch the engine"))
		}
	}
}

// lives lists the replicas that are dead or alive. A replica that was never started is neither.
func (e *Engine) lives(ctx context.Context) ([]Life, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of("")})
	if err != nil {
		return nil, e.fail(err, "list replicas")
	}
	var list []Life
	for _, c := range r.Items {
		if c.State != container.StateCreated {
			l := Life{ID: c.ID, Alive: c.State == container.StateRunning || c.State == container.StatePaused}
			if l.Alive && c.NetworkSettings != nil {
				l.Addrs = addrsOf(c.NetworkSettings.Networks)
			}
			list = append(list, l)
		}
	}
	return list, nil
}

// sendLives yields a Life for each event of the engine. It returns nil if yield wants no more.
func (e *Engine) sendLives(ctx context.Context, s client.EventsResult, yield func(Life, error) bool) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.Err:
			return err
		case m := <-s.Messages:
			l := Life{ID: m.Actor.ID, Alive: m.Action == events.ActionStart}
			if l.Alive {
				var err error
				l.Addrs, err = e.addressesOf(ctx, l.ID)
				if is(err, rhumb.NotFound) {
					continue
				}
				if err != nil {
					return err
				}
			}
			if !yield(l, nil) {
				return nil
			}
		}
	}
}

// addressesOf returns the addresses of a running replica.
func (e *Engine) addressesOf(ctx context.Context, id string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, e.fail(err, "look at replica")
	}
	if r.Container.NetworkSettings == nil {
		return nil, nil
	}
	return addrsOf(r.Container.NetworkSettings.Networks), nil
}

func addrsOf(networks map[string]*network.EndpointSettings) []netip.Addr {
	var addrs []netip.Addr
	for _, n := range networks {
		if n == nil {
			continue
		}
		for _, a := range []netip.Addr{n.IPAddress, n.GlobalIPv6Address} {
			if a.IsValid() {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}
