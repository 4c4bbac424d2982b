package doctor

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// readMemory reads /proc/meminfo.
func readMemory(f files) Memory {
	b, err := f.Read("/proc/meminfo")
	if err != nil {
		return Memory{Err: err}
	}
	return parseMemory(string(b))
}

func parseMemory(text string) Memory {
	var m Memory
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 54)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			m.Total = n << 10
		case "MemAvailable:":
			m.Available = n << 10
		}
	}
	if m.Total == 0 {
		m.Err = errors.New("/proc/meminfo has no such value")
	}
	return m
}

// listening returns the sockets in the kernel's lists that listen.
func listening(f files) ([]Socket, error) {
	var all []Socket
	for _, list := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := f.Read("/proc/net/" + list)
		if err != nil {
			if strings.HasSuffix(list, "6") { // IPv6 may be switched off
				continue
			}
			return nil, err
		}
		all = append(all, parseSockets(string(b), strings.HasPrefix(list, "udp"))...)
	}
	return all, nil
}

// The states of sockets that accept connections, or datagrams from any sender.
const (
	stateListening = "0A"
	stateUDP       = "07"
)

// parseSockets parses a list of sockets and returns those that listen. It ignores malformed lines.
func parseSockets(text string, udp bool) []Socket {
	state := stateListening
	if udp {
		state = stateUDP
	}
	var all []Socket
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != state {
			continue
		}
		if addr, ok := socketAddress(fields[1]); ok {
			all = append(all, Socket{UDP: udp, Addr: addr, Inode: fields[9]})
		}
	}
	return all
}

// socketAddress parses "0100007F:0050": the address is in 32-bit words in the processor's byte order, the port is
// big-endian.
func socketAddress(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}

// socketsOf returns the inodes of a process's sockets.
func socketsOf(f files, pid int) (map[string]bool, error) {
	if pid == 0 {
		return nil, errors.New("the proxy didn't report its process ID")
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := f.Names(dir)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, n := range names {
		link, err := f.Link(dir + "/" + n)
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own, nil
}
