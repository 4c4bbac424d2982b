package proxy

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/inbound"
	"rhumb/proxy/internal/socket"
)

// tcpConns knows the TCP connections that are led to endpoints. They may be idle for as long as they like, as those of
// a pool are. But when the last place is taken, the stillest gives way.
type tcpConns struct {
	mu    sync.Mutex
	conns map[*inbound.Conn]struct{}
}

func (t *tcpConns) add(c *inbound.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil {
		t.conns = map[*inbound.Conn]struct{}{}
	}
	t.conns[c] = struct{}{}
}

func (t *tcpConns) remove(c *inbound.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// makeRoom closes the connection that has been still for the longest, of those that came in at such an address, if it
// has been still for the least time.
func (t *tcpConns) makeRoom(at socket.Binding, least time.Duration) {
	var stillest *inbound.Conn
	t.mu.Lock()
	for c := range t.conns {
		if !c.Bound.In(at) {
			continue
		}
		if d := still(c); d >= least {
			stillest, least = c, d
		}
	}
	t.mu.Unlock()
	if stillest != nil {
		stillest.TCPConn.Close() // serveTCP sees it, and does the rest
	}
}

// still returns how long ago the last byte came from the client or was sent to it. The kernel knows.
func still(c *inbound.Conn) (d time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // it fails if the connection is closed, which makes room too
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			d = time.Duration(min(info.Last_data_recv, info.Last_data_sent)) * time.Millisecond
		}
	})
	return d
}
