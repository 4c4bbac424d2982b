package routing

import (
	"context"
	"fmt"
	"os"
	"slices"

	"rhumb"
)

// The ports that are tried where the user names none: those that Linux doesn't give to outgoing connections by default.
const firstFreePort, lastFreePort = 20000, 32767

// FreePort finds a host port for a port that names none, or a range of them. pick says which ones are taken, and which of
// the others are better; the others are chosen only where there is no better one. A port that the kernel may give to an
// outgoing connection isn't a good one, unless the user's range has it: after a restart of the machine such a connection
// may be there first.
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
		WithHint("rhumb routes shows which ports are published, ss -lntup which ones other processes have")
}

// listens reports whether the proxy listens on a port, on whatever address, or would for routes by host and path.
func (d *Desk) listens(t rhumb.Table, n uint16, on rhumb.Protocol) bool {
	if on != rhumb.UDP && (n == d.entry.Port() || n == d.https.Port()) {
		return true
	}
	return slices.ContainsFunc(t.Listeners, func(l rhumb.Listener) bool { return l.Addr.Port() == n && sameWire(l.Protocol, on) })
}

// bindable reports whether the proxy could listen on that port.
func (d *Desk) bindable(ctx context.Context, p rhumb.Port, n uint16) bool {
	p.Published = n
	return d.router.Check(ctx, []rhumb.Listener{{Addr: bindAddr(p), Protocol: p.Protocol}}) == nil
}

// outgoing reads which ports the kernel gives to outgoing connections; zeros where that isn't known.
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
