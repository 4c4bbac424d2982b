// Package porttest chooses ports for tests.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are chosen from first to last: below those that the kernel chooses for outgoing connections and for listeners
// at port 0, and below those that rhumb chooses for stacks.
const (
	first = 10_000
	last  = 19_999
)

// reserved keeps the reservations of this process until it ends.
var reserved struct {
	sync.Mutex
	all []net.Listener
}

// Free returns a port that no process uses, for TCP and for UDP. No other call returns it again while this process
// lives, in this process or in another. A socket in Linux's abstract namespace reserves the port's number.
func Free(t testing.TB) int {
	t.Helper()
	reserved.Lock()
	defer reserved.Unlock()
	for range 10 * (last - first) {
		port := first + rand.IntN(last-first+1)
		r, err := net.Listen("unix", fmt.Sprintf("@rhumb-test-port-%d", port))
		if err != nil {
			continue // another test has it
		}
		if unused(port) {
			reserved.all = append(reserved.all, r)
			return port
		}
		_ = r.Close() // nothing was written
	}
	t.Fatalf("no free port from %d to %d", first, last)
	return 0
}

// unused reports whether a port can be bound.
func unused(port int) bool {
	addr := fmt.Sprintf(":%d", port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	return c.Close() == nil
}
