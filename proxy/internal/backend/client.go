package backend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/proxy/internal/preamble"
)

// Transparent makes connections in which a replica sees the address of a client.
type Transparent interface {
	// Why returns why there can be no such connection, or "" if there can.
	Why(client, endpoint netip.Addr) string
	// DialTCP connects from the client's address, within the given time.
	DialTCP(ctx context.Context, client netip.Addr, to netip.AddrPort, limit time.Duration) (net.Conn, error)
	// DialUDP returns a socket for datagrams from the client's address.
	DialUDP(client netip.Addr, to netip.AddrPort) (*net.UDPConn, error)
	// Doubt notes that an endpoint hasn't answered the client.
	Doubt(client, endpoint netip.Addr)
}

// Caller is who a connection to an endpoint is made for.
type Caller struct {
	Client netip.AddrPort
	Called netip.AddrPort // the address that the client called
}

// DialFor connects to a member for a client of TCP. Its replica learns the client's address: from a preamble if its
// backend has them, otherwise from the connection itself where that can be. Where it can't, the replica sees the
// proxy's. It returns a DialError or ErrBusy.
func (b *Balancer) DialFor(ctx context.Context, m *Member, who Caller) (*Conn, error) {
	if m.Spec.SendProxy != "" {
		return b.dialWithPreamble(ctx, m, who)
	}
	client := address(who.Client)
	to, ok := b.seenAt(m, client)
	if !ok {
		return b.Dial(ctx, m.Endpoint)
	}
	a := &fromClient{Transparent: b.Transparent, endpoint: m.Endpoint, client: client, to: to}
	return b.dial(ctx, m.Endpoint, a.attempt)
}

func (b *Balancer) dialWithPreamble(ctx context.Context, m *Member, who Caller) (*Conn, error) {
	c, err := b.Dial(ctx, m.Endpoint)
	if err != nil {
		return nil, err
	}
	h := preamble.Header{Version: m.Spec.SendProxy, Client: who.Client, Called: who.Called}
	if _, err := c.Write(h.Append(nil)); err != nil { // it never waits: nothing was written before
		_ = c.Close()
		return nil, &DialError{err}
	}
	return c, nil
}

// DialUDP returns a socket for datagrams of a client to a member. Its replica sees the client's address where that can
// be.
func (b *Balancer) DialUDP(m *Member, client netip.AddrPort) (*net.UDPConn, error) {
	if to, ok := b.seenAt(m, address(client)); ok {
		if c, err := b.Transparent.DialUDP(address(client), to); err == nil {
			return c, nil
		}
	}
	c, err := net.Dial("udp", m.Addr)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// Refused notes that nothing listens where a client's datagrams went. An application that listens on IPv4 only may be
// reached over IPv4 next time.
func (b *Balancer) Refused(m *Member, client netip.AddrPort, c *net.UDPConn) {
	at, ok := netip.AddrFromSlice(c.RemoteAddr().(*net.UDPAddr).IP)
	if at = at.Unmap(); ok && at == m.Spec.Addr6 {
		b.Transparent.Doubt(address(client), at)
		return
	}
	m.Avoid(b.limits.FailTime)
}

// seenAt returns where a connection goes in which the replica sees the client's address, and whether there can be one.
func (b *Balancer) seenAt(m *Member, client netip.Addr) (to netip.AddrPort, ok bool) {
	if b.Transparent == nil || m.Spec.Unseen != "" {
		return to, false
	}
	to = m.Spec.Addr
	if client.Is6() && m.Spec.Addr6.IsValid() {
		to = netip.AddrPortFrom(m.Spec.Addr6, to.Port())
	}
	return to, b.Transparent.Why(client, to.Addr()) == ""
}

// address returns a client's address as one of its own family. A zone means nothing in the replica's network.
func address(client netip.AddrPort) netip.Addr { return client.Addr().Unmap().WithZone("") }

// patience is how many attempts are made from the client's address before one is made from ours. They take a third of a
// second.
const patience = 5

// fromClient connects from a client's address, or from ours if that can't be.
type fromClient struct {
	Transparent
	endpoint *Endpoint
	client   netip.Addr
	to       netip.AddrPort
	tries    int
}

func (f *fromClient) attempt(ctx context.Context, limit time.Duration) (net.Conn, error) {
	if f.tries == patience {
		return f.endpoint.attempt(ctx, limit)
	}
	c, err := f.DialTCP(ctx, f.client, f.to, limit)
	other := f.to.Addr().Is6() && f.to.String() != f.endpoint.Addr // an application may listen on IPv4 only
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil, errors.Is(err, unix.ECONNREFUSED) && !other:
		return nil, err
	case timedOut(err):
		if f.tries++; f.tries == patience {
			f.Doubt(f.client, f.to.Addr())
		}
		return nil, err
	}
	f.tries = patience // such as no free port: 28,000 connections of one client to one endpoint
	return f.endpoint.attempt(ctx, limit)
}
