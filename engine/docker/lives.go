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
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
)

// Life reports a replica's start or its death.
type Life struct {
	ID    string // the replica's
	Alive bool
	Addrs []netip.Addr // of a replica that is alive; empty: it has no address of its own
}

// lives are the starts and deaths of replicas.
type lives struct{ *conn.Conn }

// Lives yields each of rhumb's replicas once, as dead or alive, and then every death and start as it happens. It ends
// with ctx, or with an error when the engine goes away. A replica may be yielded twice; the last value is true.
func (ls *lives) Lives(ctx context.Context) iter.Seq2[Life, error] {
	return func(yield func(Life, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if _, err := ls.Version(ctx); err != nil {
			yield(Life{}, err)
			return
		}
		s := eventsFrom(ctx, ls.Conn, client.Filters{}.Add("type", string(events.ContainerEventType)).
			Add("event", string(events.ActionDie), string(events.ActionStart)).Add("label", label.Stack))
		list, err := ls.list(ctx)
		if err != nil {
			yield(Life{}, err)
			return
		}
		for _, l := range list {
			if !yield(l, nil) {
				return
			}
		}
		if err := ls.send(ctx, s, yield); err != nil && ctx.Err() == nil {
			yield(Life{}, ls.Fail(err, "watch the engine"))
		}
	}
}

// list lists the replicas that are dead or alive. A replica that was never started is neither.
func (ls *lives) list(ctx context.Context) ([]Life, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	r, err := ls.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: label.Of("")})
	if err != nil {
		return nil, ls.Fail(err, "list replicas")
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

// send yields a Life for each event of the engine. It returns nil if yield wants no more.
func (ls *lives) send(ctx context.Context, s client.EventsResult, yield func(Life, error) bool) error {
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
				l.Addrs, err = ls.addresses(ctx, l.ID)
				if conn.Is(err, rhumb.NotFound) {
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

// addresses returns the addresses of a running replica.
func (ls *lives) addresses(ctx context.Context, id string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	r, err := ls.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, ls.Fail(err, "look at replica")
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
