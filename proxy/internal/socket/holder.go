package socket

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder returns the process with a socket that keeps b from being bound, such as "nginx (pid 812)". It finds the
// process through the socket's inode, as proc(5) describes, and returns "" if it can't.
func holder(b Binding) string {
	kind, listening := "tcp", "0A"
	if b.UDP {
		kind, listening = "udp", "07"
	}
	for _, v := range []string{"", "6"} {
		data, err := os.ReadFile("/proc/self/net/" + kind + v)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listening {
				continue
			}
			if addr, ok := parseProcAddr(f[1]); ok && b.Overlaps(Binding{UDP: b.UDP, Addr: addr}) {
				return processOf(f[9])
			}
		}
	}
	return ""
}

// parseProcAddr reads "0100007F:1F90": words of the address in the host's byte order, then the port.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	h, p, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(h)
	port, perr := strconv.ParseUint(p, 16, 16)
	if err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a, uint16(port)), ok
}

// processOf returns the process that has the socket open.
func processOf(inode string) string {
	want := "socket:[" + inode + "]"
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || to != want {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			return "pid " + pid
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
