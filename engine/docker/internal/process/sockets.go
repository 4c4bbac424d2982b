package process

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Listening returns the addresses at which TCP connections are accepted in the network namespace of a process, sorted.
// The process may be gone: then the error is fs.ErrNotExist.
func Listening(pid int) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "net", name))
		if name == "tcp6" && errors.Is(err, fs.ErrNotExist) {
			break // the kernel has no IPv6
		}
		if err != nil {
			return nil, err
		}
		list, err := listening(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, netip.AddrPort.Compare)
	return slices.Compact(all), nil
}

// listening reads a table as the kernel prints it: after a heading, a line a socket with its number, its address, the
// other end's, and its state in hex. 0A is the state of a socket that accepts.
func listening(r io.Reader) ([]netip.AddrPort, error) {
	var list []netip.AddrPort
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != "0A" {
			continue
		}
		at, err := address(fields[1])
		if err != nil {
			return nil, err
		}
		list = append(list, at)
	}
	return list, lines.Err()
}

// address reads "0100007F:1F90": the address in words of four bytes, each in the order of this machine, which is
// little-endian on all that rhumb is built for, and the port.
func address(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q has no port", text)
	}
	for word := raw; len(word) > 0; word = word[4:] {
		slices.Reverse(word[:4])
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
