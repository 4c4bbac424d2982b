package inbound

import (
	"net"
	"net/netip"
	"time"

	"rhumb/proxy/internal/preamble"
)

// ReadPreamble reads the header of the PROXY protocol, with which the peer names the client, within the limit. After
// that the connection is the client's: RemoteAddr returns its address.
func ReadPreamble(c *Conn, limit time.Duration) error {
	if err := c.TCPConn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	h, err := preamble.Read(c.TCPConn)
	if err != nil {
		return err
	}
	if h.Client.IsValid() {
		c.named = &h
	}
	return c.TCPConn.SetReadDeadline(time.Time{})
}

// RemoteAddr returns the client's address: the peer's, or that which a trusted peer has named.
func (c *Conn) RemoteAddr() net.Addr {
	if c.named != nil {
		return net.TCPAddrFromAddrPort(c.named.Client)
	}
	return c.TCPConn.RemoteAddr()
}

// CallerOf returns the client's address, and the address that it called.
func CallerOf(c *Conn) (client, called netip.AddrPort) {
	if c.named != nil {
		return c.named.Client, c.named.Called
	}
	return addrPort(c.TCPConn.RemoteAddr()), addrPort(c.TCPConn.LocalAddr())
}

// PeerOf returns the address of what has connected: a proxy, or the client itself.
func PeerOf(c *Conn) netip.Addr { return addrPort(c.TCPConn.RemoteAddr()).Addr().Unmap().WithZone("") }

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}
