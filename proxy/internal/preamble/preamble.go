// Package preamble reads and writes the header of the PROXY protocol, with which a proxy says at the beginning of a
// connection which client it is for. The format is that of versions 1 and 2 of the protocol's public specification.
package preamble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"rhumb"
)

// Header is what a preamble says. Without a valid Client, the connection is the peer's own, as for a health check.
type Header struct {
	Version rhumb.ProxyProtocol
	Client  netip.AddrPort
	Called  netip.AddrPort // the address that the client called
}

const (
	word      = "PROXY "                                          // how version 1 begins
	signature = "\r\n\r\n\x00\r\nQUIT\n"                          // how version 2 begins
	shortest  = len("PROXY UNKNOWN\r\n")                          // of all preambles
	longest   = len("PROXY UNKNOWN ") + 39 + 1 + 39 + 2*(1+5) + 2 // of version 1
	head      = len(signature) + 4                                // of version 2: also command, family, and a length
	most      = 2 << 10                                           // bytes of version 2 after its head
)

// Parts of version 2.
const (
	version2  = 0x20 // with the command in the lower bits
	forItself = 0    // command: the connection is the proxy's own
	forClient = 1    // command: it is a client's

	overNone = 0 // families
	overTCP4 = 0x11
	overTCP6 = 0x21
	overUnix = 0x31

	size4 = 4 + 4 + 2 + 2 // two addresses of IPv4, two ports
	size6 = 16 + 16 + 2 + 2
)

// errMissing is the error for a connection that begins with something else.
var errMissing = errors.New("there is no header of the PROXY protocol")

// Read reads a preamble and not one byte more. It reads at most some 2 KB. Its caller sets a deadline.
func Read(r io.Reader) (Header, error) {
	b := make([]byte, shortest, longest)
	if _, err := io.ReadFull(r, b); err != nil {
		return Header{}, err
	}
	switch {
	case bytes.HasPrefix(b, []byte(signature)):
		return readBinary(r, b)
	case bytes.HasPrefix(b, []byte(word)):
		return readLine(r, b)
	}
	return Header{}, errMissing
}

// readLine reads the rest of a line of which b is the beginning, byte by byte: what follows it is the client's.
func readLine(r io.Reader, b []byte) (Header, error) {
	for !bytes.HasSuffix(b, []byte("\r\n")) {
		if len(b) == longest {
			return Header{}, fmt.Errorf("the line is longer than %d bytes", longest)
		}
		b = b[:len(b)+1]
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return Header{}, err
		}
	}
	return parseLine(string(b[:len(b)-2]))
}

func parseLine(line string) (Header, error) {
	h := Header{Version: rhumb.ProxyV1}
	f := strings.Split(line, " ")
	if f[1] == "UNKNOWN" {
		return h, nil // what follows means nothing
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return h, fmt.Errorf("the line %q isn't one of the PROXY protocol", line)
	}
	var err, err2 error
	h.Client, err = address(f[2], f[4], f[1] == "TCP4")
	h.Called, err2 = address(f[3], f[5], f[1] == "TCP4")
	return h.checked(errors.Join(err, err2))
}

// address reads an address and a port as version 1 writes them.
func address(addr, port string, four bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is4() != four || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q isn't an address of the family", addr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("%q isn't a port", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// checked returns h, unless it names a client that can't be one.
func (h Header) checked(err error) (Header, error) {
	if a := h.Client.Addr(); err == nil && (a.IsUnspecified() || a.IsMulticast()) {
		err = fmt.Errorf("%s can't be a client", a)
	}
	if err != nil {
		return Header{}, err
	}
	return h, nil
}

// readBinary reads the rest of a preamble of version 2, of which b is the beginning.
func readBinary(r io.Reader, b []byte) (Header, error) {
	b = b[:head]
	if _, err := io.ReadFull(r, b[shortest:]); err != nil {
		return Header{}, err
	}
	command, family, size := b[head-4], b[head-3], int(binary.BigEndian.Uint16(b[head-2:]))
	if size > most {
		return Header{}, fmt.Errorf("%d bytes follow, and %d are allowed", size, most)
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return Header{}, err
	}
	return parseBinary(command, family, rest)
}

func parseBinary(command, family byte, rest []byte) (Header, error) {
	h := Header{Version: rhumb.ProxyV2}
	size := 0
	switch command {
	case version2 | forItself:
		return h, nil
	case version2 | forClient:
	default:
		return Header{}, fmt.Errorf("unknown version and command %#x", command)
	}
	switch family {
	case overNone, overUnix:
		return h, nil
	case overTCP4:
		size = size4
	case overTCP6:
		size = size6
	default:
		return Header{}, fmt.Errorf("the family %#x isn't one of TCP", family)
	}
	if len(rest) < size {
		return Header{}, fmt.Errorf("%d bytes follow, and the addresses take %d", len(rest), size)
	}
	half := (size - 4) / 2 // an address
	h.Client = pair(rest[:half], rest[2*half:])
	h.Called = pair(rest[half:2*half], rest[2*half+2:])
	return h.checked(nil) // what follows the addresses isn't needed
}

// pair returns the address in a, with the port at the beginning of b.
func pair(a, b []byte) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(a) // it has 4 or 16 bytes
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(b))
}

// Append appends the preamble to b. Without a client, or if the two addresses aren't of one family, it names none.
func (h Header) Append(b []byte) []byte {
	client, called := plain(h.Client), plain(h.Called)
	known := client.IsValid() && called.IsValid() && client.Addr().Is4() == called.Addr().Is4()
	if h.Version == rhumb.ProxyV1 {
		return appendLine(b, client, called, known)
	}
	family, size := byte(overNone), 0
	switch {
	case known && client.Addr().Is4():
		family, size = overTCP4, size4
	case known:
		family, size = overTCP6, size6
	}
	b = append(append(b, signature...), version2|forClient, family)
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	if !known {
		return b
	}
	b = append(append(b, client.Addr().AsSlice()...), called.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, client.Port()), called.Port())
}

func appendLine(b []byte, client, called netip.AddrPort, known bool) []byte {
	if !known {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	family := "TCP6"
	if client.Addr().Is4() {
		family = "TCP4"
	}
	return fmt.Appendf(b, "PROXY %s %s %s %d %d\r\n", family, client.Addr(), called.Addr(), client.Port(), called.Port())
}

// plain returns an address as it is written: IPv4 as such, and without a zone.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
