package chain

import (
	"net/netip"
	"runtime"
	"sync"
	"time"

	"rhumb/proxy/internal/limits"
)

// Bounds of the checks of passwords. A flood of wrong passwords costs half of the cores at most, and one client of it
// can't keep others waiting for more than a few checks.
const (
	maxChecks      = 64              // under way or waiting, in all
	maxOfOneClient = 4               // of them
	checkPatience  = 5 * time.Second // how long one waits for its turn
)

// checks are those of all gates.
type checks struct {
	places chan struct{} // for those that run

	mu  sync.Mutex
	all int
	of  map[netip.Addr]int
}

func newChecks() *checks {
	return &checks{places: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), of: map[netip.Addr]int{}}
}

// enter takes a place for a check, and reports whether there was one. leave returns it.
func (c *checks) enter(client netip.Addr) bool {
	if !c.begin(limits.OfClient(client)) {
		return false
	}
	select {
	case c.places <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(checkPatience)
	defer timer.Stop()
	select {
	case c.places <- struct{}{}:
		return true
	case <-timer.C:
		c.end(limits.OfClient(client))
		return false
	}
}

// leave returns the place of a check.
func (c *checks) leave(client netip.Addr) {
	<-c.places
	c.end(limits.OfClient(client))
}

func (c *checks) begin(client netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == maxChecks || c.of[client] == maxOfOneClient {
		return false
	}
	c.all++
	c.of[client]++
	return true
}

func (c *checks) end(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.of[client]--; c.of[client] == 0 {
		delete(c.of, client)
	}
}
