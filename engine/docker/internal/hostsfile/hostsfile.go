// Package hostsfile writes rhumb's names into the hosts files of replicas and leaves all other lines alone.
package hostsfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"rhumb/engine/docker/internal/label"
)

const (
	hostsLimit = 1 << 20   // bytes of a hosts file
	hostsMark  = "# rhumb" // ends each line that SetHosts wrote
	hostsTries = 3         // against an engine that writes the file at the same moment
)

// Check returns an error for a name or address that can't stand in a hosts file.
func Check(hosts map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		if !hostName(name) {
			return fmt.Errorf("%q is not a host name", name)
		}
		if a, err := netip.ParseAddr(hosts[name]); err != nil || a.Zone() != "" {
			return fmt.Errorf("%s: %q is not an IP address", name, hosts[name])
		}
	}
	return nil
}

// hostName reports whether a name can stand in a hosts file. Service names may have characters that host names may not.
func hostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// Further returns hosts without the names whose address the user sets in extra, the container's own lines. extra
// also holds the names that rhumb gave the container at its start; they don't count.
func Further(hosts map[string]string, extra []string, atStart map[string]string) map[string]string {
	out := maps.Clone(hosts)
	for _, line := range extra {
		name, addr, _ := strings.Cut(line, ":")
		if atStart[name] != addr {
			delete(out, name)
		}
	}
	return out
}

// Label encodes the names that a replica gets at its start. AtStart decodes them.
func Label(hosts map[string]string) string {
	list := make([]string, 0, len(hosts))
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		list = append(list, name+"="+hosts[name])
	}
	return strings.Join(list, " ")
}

// AtStart returns the names that a container got at its start.
func AtStart(c *container.InspectResponse) map[string]string {
	hosts := map[string]string{}
	for _, pair := range strings.Fields(c.Config.Labels[label.Hosts]) {
		if name, addr, ok := strings.Cut(pair, "="); ok {
			hosts[name] = addr
		}
	}
	return hosts
}

// With returns a hosts file with exactly these further names. It drops the lines of earlier ones: those with rhumb's
// mark, and those that the engine wrote for the names at the start. All other lines stay as they are.
func With(old []byte, atStart, hosts map[string]string) []byte {
	var kept bytes.Buffer
	had := map[string]string{}
	for line := range bytes.Lines(old) {
		text, marked := strings.CutSuffix(strings.TrimSpace(string(line)), hostsMark)
		f := strings.Fields(text)
		if len(f) == 2 && (marked || atStart[f[1]] == f[0]) {
			had[f[1]] = f[0]
			continue
		}
		kept.Write(line)
	}
	if maps.Equal(had, hosts) {
		return old
	}
	if kept.Len() > 0 && !bytes.HasSuffix(kept.Bytes(), []byte("\n")) {
		kept.WriteByte('\n')
	}
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		fmt.Fprintf(&kept, "%s\t%s\t%s\n", hosts[name], name, hostsMark)
	}
	return kept.Bytes()
}

// Edit changes a hosts file in place: the file is mounted into the container, which would not see another file of that
// name. The engine may write at the same moment, so Edit reads the file again afterwards.
func Edit(path string, edit func(old []byte) []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for range hostsTries {
		old, err := io.ReadAll(io.NewSectionReader(f, 0, hostsLimit+1))
		if err != nil {
			return err
		}
		next := edit(old)
		if bytes.Equal(old, next) {
			return nil
		}
		if len(old) > hostsLimit || len(next) > hostsLimit {
			return fmt.Errorf("it would have more than %d bytes", hostsLimit)
		}
		if err := overwrite(f, old, next); err != nil {
			return err
		}
	}
	return errors.New("something else changes it again and again")
}

// Machine returns the machine's own lines, as "name:address". The engine copies them to a replica on the machine's
// network only if the replica gets no further names. With further names, these lines must be passed along.
func Machine(path string) ([]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, hostsLimit))
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		for _, name := range fields[1:] {
			if Check(map[string]string{name: fields[0]}) == nil {
				lines = append(lines, name+":"+fields[0])
			}
		}
	}
	return lines, nil
}

// overwrite replaces a file's content by a single write, so that readers see either all of the old or all of the new. A
// shorter content is padded with empty lines, which are cut off afterwards. A full disk can't stop the write halfway:
// the old content already has its space.
func overwrite(f *os.File, old, next []byte) error {
	filled := next
	if n := len(old) - len(next); n > 0 {
		filled = append(slices.Clone(next), bytes.Repeat([]byte("\n"), n)...)
	}
	if _, err := f.WriteAt(filled, 0); err != nil {
		_, undone := f.WriteAt(old, 0)
		return errors.Join(err, undone, f.Truncate(int64(len(old))))
	}
	return f.Truncate(int64(len(next)))
}
