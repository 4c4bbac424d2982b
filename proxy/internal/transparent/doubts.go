package transparent

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	doubtTime  = 10 * time.Second
	mostDoubts = 1024
	faultTime  = time.Second // after a repair, what has begun before it may still fail
)

// doubts are the clients that an endpoint hasn't answered of late. The zero value has none.
type doubts struct {
	some  atomic.Bool // there may be some
	mu    sync.Mutex
	until map[doubt]time.Time
	since time.Time // of the last repair
}

type doubt struct{ client, endpoint netip.Addr }

// add adds a doubt. When there are too many, all are forgotten: each costs its client one slow connection to learn
// again.
func (d *doubts) add(client, endpoint netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.since.IsZero() && time.Since(d.since) < faultTime {
		return
	}
	if d.until == nil || len(d.until) >= mostDoubts {
		d.until = map[doubt]time.Time{}
	}
	d.until[doubt{client, endpoint}] = time.Now().Add(doubtTime)
	d.some.Store(true)
}

// forget forgets all doubts, because their reason was repaired.
func (d *doubts) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until, d.since = nil, time.Now()
	d.some.Store(false)
}

// have reports whether there is a doubt.
func (d *doubts) have(client, endpoint netip.Addr) bool {
	if !d.some.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := doubt{client, endpoint}
	until, ok := d.until[key]
	if ok && time.Now().After(until) {
		delete(d.until, key)
		d.some.Store(len(d.until) > 0)
		return false
	}
	return ok
}
