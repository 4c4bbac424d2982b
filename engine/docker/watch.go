package docker

import (
	"context"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
)

// watches are the callers that wait for changes of replicas.
type watches struct {
	*conn.Conn
	known *observed.Known // what changes is forgotten there
}

// Watch sends changes until ctx ends or the engine goes away, and then closes the channel. The caller then calls Watch
// again and looks at everything.
func (w *watches) Watch(ctx context.Context) (<-chan rhumb.Change, error) {
	if _, err := w.Version(ctx); err != nil {
		return nil, err
	}
	f := client.Filters{}.Add("type", "container", "network", "volume").
		// Health checks flood the stream with exec_*: this filter keeps them out.
		Add("event", "create", "start", "die", "oom", "destroy", "health_status", "pause", "unpause", "rename")
	s := eventsFrom(ctx, w.Conn, f)
	select {
	case err := <-s.Err:
		return nil, w.Fail(err, "watch the engine")
	default:
	}
	out := make(chan rhumb.Change)
	w.known.Watch(+1)
	go w.send(ctx, s, out)
	return out, nil
}

// eventsFrom returns an engine's events from now on. The engine answers a moment before it listens. Since makes it
// report what happened in that moment.
func eventsFrom(ctx context.Context, c *conn.Conn, f client.Filters) client.EventsResult {
	return c.API.Events(ctx, client.EventsListOptions{Since: seconds(time.Now()), Filters: f})
}

// send sends changes until the stream or ctx ends. It always reads the engine's stream at once, and merges the
// changes that the receiver hasn't taken yet.
func (w *watches) send(ctx context.Context, s client.EventsResult, out chan<- rhumb.Change) {
	defer close(out)
	defer w.known.Watch(-1)
	var waiting changes
	for {
		var to chan<- rhumb.Change
		next, some := waiting.next()
		if some {
			to = out
		}
		select {
		case <-ctx.Done():
			return
		case err := <-s.Err:
			w.Log.Debug("the engine's events ended", "err", err)
			return
		case m := <-s.Messages:
			if c, ok := changeOf(m); ok {
				w.known.Forget(c.Replica) // the event comes before the engine's lists show the change
				waiting.add(c)
			}
		case to <- next:
			waiting.take()
		}
	}
}

// changeOf returns an event's change; false if it concerns nothing of rhumb's.
func changeOf(m events.Message) (rhumb.Change, bool) {
	switch m.Type {
	case events.ContainerEventType:
		stack := m.Actor.Attributes[label.Stack]
		return rhumb.Change{Stack: stack, Replica: m.Actor.ID}, stack != ""
	case events.NetworkEventType, events.VolumeEventType:
		// These events carry no labels, so they mean: look at everything. Only a loss matters.
		return rhumb.Change{}, m.Action == events.ActionDestroy
	}
	return rhumb.Change{}, false
}

// changes holds the changes that wait to be sent, each once, in the order in which they first happened.
type changes struct{ list []rhumb.Change }

// mergeAbove is the number of waiting changes above which they become one.
const mergeAbove = 256

func (w *changes) add(c rhumb.Change) {
	for _, old := range w.list {
		if old == c || old == (rhumb.Change{}) {
			return
		}
	}
	if c == (rhumb.Change{}) || len(w.list) >= mergeAbove {
		w.list = []rhumb.Change{{}}
		return
	}
	w.list = append(w.list, c)
}

func (w *changes) next() (rhumb.Change, bool) {
	if len(w.list) == 0 {
		return rhumb.Change{}, false
	}
	return w.list[0], true
}

func (w *changes) take() { w.list = w.list[1:] }
