package inbound

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Clients counts the connections of each client address.
type Clients struct {
	mu      sync.Mutex
	clients map[netip.Addr]*Client
	conns   int

	standing atomic.Int64
}

// Client is what the connections of one address share.
type Client struct {
	of       *Clients
	addr     netip.Addr
	conns    int          // under the lock of Clients
	standing atomic.Int64 // connections that take nothing of what is sent to them
}

// How many connections may stand still at a time, of one address and of all. More of them are closed sooner, because
// the answers held for them cost memory.
const (
	maxStanding    = 128
	maxStandingAll = 1000
)

// Enter counts one more connection of an address. It returns the address's client, and how many connections there are
// of the client and in all.
func (t *Clients) Enter(addr netip.Addr) (c *Client, its, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c = t.clients[addr]; c == nil {
		if t.clients == nil {
			t.clients = map[netip.Addr]*Client{}
		}
		c = &Client{of: t, addr: addr}
		t.clients[addr] = c
	}
	c.conns++
	t.conns++
	return c, c.conns, t.conns
}

func (c *Client) leave() {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.conns--
	if c.conns--; c.conns == 0 {
		delete(c.of.clients, c.addr)
	}
}

// stands counts a connection that stands still from now on, and reports whether that makes too many.
func (c *Client) stands() bool {
	its, all := c.standing.Add(1), c.of.standing.Add(1)
	return its > maxStanding || all > maxStandingAll
}

// moves takes back what stands has counted.
func (c *Client) moves() {
	c.standing.Add(-1)
	c.of.standing.Add(-1)
}

// stand notes whether a connection stands still, and reports whether too many do. A nil client isn't counted.
func (c *Client) stand(was *bool, is bool) (crowded bool) {
	if c == nil || *was == is {
		return false
	}
	*was = is
	if is {
		return c.stands()
	}
	c.moves()
	return false
}
