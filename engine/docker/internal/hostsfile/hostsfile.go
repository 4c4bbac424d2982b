// Package hostsfile writes rhumb's names into the hosts files of replicas and leaves everybody else's lines alone.
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

// Check looks whether names and addresses can stand in a hosts file.
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

// hostName tells whether a name can stand in a hosts file. Service names may have more characters than host names.
func hostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// Further leaves out the names for which extra, the container's lines, has an address of the user's. Those that rhumb
// gave it at its start stand there too.
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

// Label writes down which names a replica was given at its start; AtStart reads it.
func Label(hosts map[string]string) string {
	list := make([]string, 0, len(hosts))
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		list = append(list, name+"="+hosts[name])
	}
	return strings.Join(list, " ")
}

// AtStart gives the names that a container was given at its start.
func AtStart(c *container.InspectResponse) map[string]string {
	hosts := map[string]string{}
	for _, pair := range strings.Fields(c.Config.Labels[label.Hosts]) {
		if name, addr, ok := strings.Cut(pair, "="); ok {
			hosts[name] = addr
		}
	}
	return hosts
}

// With gives a hosts file with exactly these further names. The lines of earlier ones go: those that bear rhumb's
// mark, and those that the engine wrote for the names given at the start. All others stay as they are.
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

// Edit changes a hosts file in place: it is mounted into the container, so another file of that name would not be
// seen there. The engine may write it at the same moment, so what was written is looked at again.
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

// Machine gives the machine's own lines, as "name:address". A replica on the machine's network has a copy of them, but
// only as long as it is given no further names, so those lines are given with them.
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

// overwrite replaces a file's content by a single write, so that readers see either all of the old or all of the new:
// a shorter one is filled up with empty lines, which are cut off afterwards. On a full disk a write stops halfway; the
// old content has its room already.
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
