package routing

import (
	"context"
	"fmt"
	"os"
	"slices"

	"rhumb"
)

// The ports to choose from where the user names none: Linux by default doesn't use them for outgoing connections.
const firstFreePort, lastFreePort = 20000, 32767

// FreePort returns a host port for a port that names none, or a range of them. pick reports whether a number is taken,
// and whether it is better than others, which FreePort returns only if no better one is free. A number that the kernel
// may use for an outgoing connection is not better, unless the user's range contains it: after a restart of the machine
// such a connection may have it first. Without a free number, FreePort is Conflict.
func (d *Desk) FreePort(ctx context.Context, p rhumb.Port, pick func(uint16) (taken, better bool)) (uint16, error) {
	from, to := p.Published, p.PublishedEnd
	outgoingFrom, outgoingTo := uint16(0), uint16(0)
	if from == 0 {
		from, to = firstFreePort, lastFreePort
		outgoingFrom, outgoingTo = d.outgoing()
	}
	st, err := d.Status(ctx)
	if err != nil {
		return 0, err
	}
	var second []uint16
	for n := from; n >= from && n <= to; n++ { // n wraps around after 65535
		if d.listens(st.Table, n, p.Protocol) {
			continue
		}
		switch taken, better := pick(n); {
		case taken:
		case !better || n >= outgoingFrom && n <= outgoingTo:
			second = append(second, n)
		case d.bindable(ctx, p, n):
			return n, nil
		}
	}
	for _, n := range second {
		if d.bindable(ctx, p, n) {
			return n, nil
		}
	}
	return 0, rhumb.Errorf(rhumb.Conflict, "no host port from %d to %d is free for port %d", from, to, p.Target).
		WithHint("rhumb routes lists published ports, ss -lntup the ports of other processes")
}

// listens reports whether the proxy listens on a port of any address, or would for routes by host and path.
func (d *Desk) listens(t rhumb.Table, n uint16, on rhumb.Protocol) bool {
	if on != rhumb.UDP && (n == d.entry.Port() || n == d.https.Port()) {
		return true
	}
	return slices.ContainsFunc(t.Listeners, func(l rhumb.Listener) bool {
		return l.Addr.Port() == n && sameWire(l.Protocol, on)
	})
}

// bindable reports whether the proxy could listen on host port n for p.
func (d *Desk) bindable(ctx context.Context, p rhumb.Port, n uint16) bool {
	p.Published = n
	return d.router.Check(ctx, []rhumb.Listener{{Addr: bindAddr(p), Protocol: p.Protocol}}) == nil
}

// outgoing returns the ports that the kernel uses for outgoing connections; zeros: unknown.
func outgoing() (from, to uint16) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0
	}
	if _, err := fmt.Sscan(string(b), &from, &to); err != nil {
		return 0, 0
	}
	return from, to
}
