package socket

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LocalOf returns the control message that sends an answer from the address that a datagram came to. oob is what the
// kernel said about that address (ip(7), ipv6(7): pktinfo); if it said nothing, the result is "". The routes choose the
// interface.
func LocalOf(oob []byte) string {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ""
	}
	for _, m := range msgs {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO &&
			len(m.Data) >= unix.SizeofInet4Pktinfo:
			in := (*unix.Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return string(unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: in.Spec_dst}))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO &&
			len(m.Data) >= unix.SizeofInet6Pktinfo:
			in := (*unix.Inet6Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return string(unix.PktInfo6(&unix.Inet6Pktinfo{Addr: in.Addr, Ifindex: scopeOf(in)}))
		}
	}
	return ""
}

// scopeOf keeps the interface of link-local addresses, which mean nothing without it.
func scopeOf(in *unix.Inet6Pktinfo) uint32 {
	if in.Addr[0] == 0xfe && in.Addr[1]&0xc0 == 0x80 {
		return in.Ifindex
	}
	return 0
}

// wantLocal asks the kernel to say which of the host's addresses each datagram came to. On a socket bound to all
// addresses, an answer would otherwise leave from the address that the routes prefer, and its client might not expect
// that one.
func wantLocal(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // if it fails, the kernel chooses the address of answers
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	})
}
