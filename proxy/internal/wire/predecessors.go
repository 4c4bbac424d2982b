package wire

import (
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// question is what a proxy asks the proxy that it took over from.
type question struct {
	Table *rhumb.Table // serve this from now on; nil: only report what is open
}

type answer struct {
	Open map[string]int // connections and requests in flight, by replica ID
	Busy map[string]int // those of them that aren't quiet; nil from a proxy that doesn't report it
}

// Predecessors are the old proxies that finish their connections, also those from before the last takeover.
type Predecessors struct {
	Log *slog.Logger

	mu  sync.Mutex
	all []*predecessor
}

// predecessor is one old proxy. Its connection carries one exchange at a time.
type predecessor struct {
	conn     *net.UnixConn
	exchange sync.Mutex
}

func (o *Predecessors) add(cs ...*net.UnixConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range cs {
		o.all = append(o.all, &predecessor{conn: c})
	}
}

func (o *Predecessors) list() []*predecessor {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

// remove closes the connection and reports whether it was still there.
func (o *Predecessors) remove(p *predecessor) bool {
	_ = p.conn.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.Index(o.all, p)
	if i >= 0 {
		o.all = slices.Delete(o.all, i, i+1)
	}
	return i >= 0
}

// hold waits for the exchanges under way, and starts no other until release is called. It returns the old proxies that
// are still there.
func (o *Predecessors) hold() (held []*predecessor, release func()) {
	locked := o.list()
	for _, p := range locked {
		p.exchange.Lock()
	}
	now := o.list()
	held = slices.DeleteFunc(slices.Clone(locked), func(p *predecessor) bool { return !slices.Contains(now, p) })
	return held, func() {
		for _, p := range locked {
			p.exchange.Unlock()
		}
	}
}

// Close lets go of them: this proxy ends, or a successor has them. An exchange under way is finished first, because a
// successor would take its answer for one to a question of its own.
func (o *Predecessors) Close() {
	held, release := o.hold()
	defer release()
	for _, p := range held {
		o.remove(p)
	}
}

// Ask adds up what the old proxies have open, and what of it is busy, by replica ID, and forgets those that are gone.
// If t isn't nil, they serve it from now on. It asks all of them at the same time.
func (o *Predecessors) Ask(t *rhumb.Table) (open, busy map[string]int) {
	open, busy = map[string]int{}, map[string]int{}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, p := range o.list() {
		asked.Go(func() {
			a, err := o.ask(p, question{Table: t})
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			add(open, a.Open)
			add(busy, a.Busy)
		})
	}
	asked.Wait()
	return open, busy
}

func add(to, counts map[string]int) {
	for id, n := range counts {
		to[id] += n
	}
}

// ask asks one old proxy. After an error it removes it, still within the exchange: a successor must not inherit a
// connection on which an answer may come late.
func (o *Predecessors) ask(p *predecessor, q question) (answer, error) {
	p.exchange.Lock()
	defer p.exchange.Unlock()
	var a answer
	_ = p.conn.SetDeadline(time.Now().Add(followTime)) // the exchange fails if this does
	err := writeFrame(p.conn, q)
	if err == nil {
		err = readFrame(p.conn, &a)
	}
	if err != nil && o.remove(p) {
		o.Log.Info("old proxy is gone", "err", err)
	}
	if a.Busy == nil {
		a.Busy = a.Open
	}
	return a, err
}
