package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"rhumb"
)

const (
	hostsLimit = 1 << 20   // bytes of a hosts file
	hostsMark  = "# rhumb" // ends each line that SetHosts wrote
	hostsTries = 3         // against an engine that writes the file at the same moment
)

// SetHosts gives a running replica's hosts file exactly these further names, in place of those given before. One that
// shares another's network namespace, or mounts a hosts file of its own, is left as it is: the file isn't its own.
func (e *Engine) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := checkHosts(hosts); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "hosts file of replica %s: %w", short(id), err)
	}
	release, err := e.hosts.hold(ctx, id)
	if err != nil {
		return e.fail(err, "set the hosts of replica "+short(id))
	}
	defer release()
	c, err := e.inspect(ctx, id)
	if err != nil {
		return err
	}
	if r := replicaOf(c); !r.Alive() || filepath.Base(filepath.Dir(c.HostsPath)) != c.ID {
		return nil
	}
	atStart := startHosts(c)
	wanted := further(hosts, c.HostConfig.ExtraHosts, atStart)
	err = editHosts(c.HostsPath, func(old []byte) []byte { return withHosts(old, atStart, wanted) })
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := e.inspect(ctx, id); gone != nil {
			return gone
		}
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "hosts file of %s: %w", nameOf(c), err).
			WithHint("the daemon must run as root on the engine's machine, and see its data folder")
	}
	return nil
}

// checkHosts looks whether names and addresses can stand in a hosts file.
func checkHosts(hosts map[string]string) error {
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

// further leaves out the names for which extra, the container's lines, has an address of the user's. Those that rhumb
// gave it at its start stand there too.
func further(hosts map[string]string, extra []string, atStart map[string]string) map[string]string {
	out := maps.Clone(hosts)
	for _, line := range extra {
		name, addr, _ := strings.Cut(line, ":")
		if atStart[name] != addr {
			delete(out, name)
		}
	}
	return out
}

// startLabel writes down which names a replica was given at its start; startHosts reads it.
func startLabel(hosts map[string]string) string {
	list := make([]string, 0, len(hosts))
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		list = append(list, name+"="+hosts[name])
	}
	return strings.Join(list, " ")
}

func startHosts(c *container.InspectResponse) map[string]string {
	hosts := map[string]string{}
	for _, pair := range strings.Fields(c.Config.Labels[labelHosts]) {
		if name, addr, ok := strings.Cut(pair, "="); ok {
			hosts[name] = addr
		}
	}
	return hosts
}

// withHosts gives a hosts file with exactly these further names. The lines of earlier ones go: those that bear rhumb's
// mark, and those that the engine wrote for the names given at the start. All others stay as they are.
func withHosts(old []byte, atStart, hosts map[string]string) []byte {
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

// editHosts changes a hosts file in place: it is mounted into the container, so another file of that name would not be
// seen there. The engine may write it at the same moment, so what was written is looked at again.
func editHosts(path string, edit func(old []byte) []byte) error {
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
		if err := overwrite(f, next, len(old)); err != nil {
			return err
		}
	}
	return errors.New("something else changes it again and again")
}

// machineHosts gives the machine's own lines, as "name:address". A replica on the machine's network has a copy of them, but
// only as long as it is given no further names, so those lines are given with them.
func machineHosts(path string) ([]string, error) {
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
			if checkHosts(map[string]string{name: fields[0]}) == nil {
				lines = append(lines, name+":"+fields[0])
			}
		}
	}
	return lines, nil
}

// overwrite replaces a file's content by a single write, so that readers see either all of the old or all of the new:
// a shorter one is filled up with empty lines, which are cut off afterwards.
func overwrite(f *os.File, content []byte, was int) error {
	filled := content
	if n := was - len(content); n > 0 {
		filled = append(slices.Clone(content), bytes.Repeat([]byte("\n"), n)...)
	}
	if _, err := f.WriteAt(filled, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(content)))
}
