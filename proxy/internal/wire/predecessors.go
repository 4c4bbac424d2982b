package wire

import (
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// question is what a proxy asks the one it took over from.
type question struct {
	Table *rhumb.Table // serve this from now on; nil: only tell what is open
}

type answer struct {
	Open map[string]int // connections and requests in flight, by replica ID
	Busy map[string]int // those of them that aren't quiet; nil from a proxy that doesn't tell
}

// Predecessors are the old proxies that finish their connections, also those from before the last takeover.
type Predecessors struct {
	Log *slog.Logger

	mu    sync.Mutex
	conns []*net.UnixConn
}

func (o *Predecessors) add(cs ...*net.UnixConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns = append(o.conns, cs...)
}

// Close lets go of them: this proxy ends, or a successor has them.
func (o *Predecessors) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.conns {
		c.Close()
	}
	o.conns = nil
}

// Ask adds up what the old proxies have open, and what of it is busy, by replica ID, and forgets those that are gone. t,
// if any, is what they serve from now on.
func (o *Predecessors) Ask(t *rhumb.Table) (open, busy map[string]int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	open, busy = map[string]int{}, map[string]int{}
	o.conns = slices.DeleteFunc(o.conns, func(c *net.UnixConn) bool {
		var a answer
		c.SetDeadline(time.Now().Add(followTime))
		err := writeFrame(c, question{Table: t})
		if err == nil {
			err = readFrame(c, &a)
		}
		if err != nil {
			o.Log.Info("old proxy is gone", "reason", err)
			c.Close()
			return true
		}
		if a.Busy == nil {
			a.Busy = a.Open
		}
		for id, n := range a.Open {
			open[id] += n
		}
		for id, n := range a.Busy {
			busy[id] += n
		}
		return false
	})
	return open, busy
}
