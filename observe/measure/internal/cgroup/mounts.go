package cgroup

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/observe/measure/internal/kernfile"
)

// mount is where a hierarchy of control groups is mounted.
type mount struct {
	point string
	root  string // the group that is at the point
}

// mounted returns the hierarchies that this process sees, by controller; "" is version 2.
func mounted(root string) (map[string]mount, error) {
	text, err := kernfile.ReadFile(filepath.Join(root, "proc/self/mountinfo"), nil)
	if err != nil {
		return nil, err
	}
	mounts := map[string]mount{}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(kind) < 3 {
			continue
		}
		m := mount{point: unescape(f[4]), root: unescape(f[3])}
		switch kind[0] {
		case "cgroup2":
			keep(mounts, "", m)
		case "cgroup":
			for _, controller := range strings.Split(kind[2], ",") {
				keep(mounts, controller, m)
			}
		}
	}
	return mounts, nil
}

// keep keeps the first mount of a hierarchy, unless a later one has all of it.
func keep(mounts map[string]mount, controller string, m mount) {
	if old, ok := mounts[controller]; !ok || old.root != "/" && m.root == "/" {
		mounts[controller] = m
	}
}

// unescape returns a path of mountinfo as it is: spaces and backslashes are octal there.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if len(after) >= 3 {
			if c, err := strconv.ParseUint(after[:3], 8, 8); err == nil {
				b.WriteByte(byte(c))
				s = after[3:]
				continue
			}
		}
		b.WriteByte('\\')
		s = after
	}
}

// groupsOf returns the groups that a process is in, by controller; "" is version 2.
func groupsOf(root string, pid int) (map[string]string, error) {
	text, err := kernfile.ReadFile(filepath.Join(root, "proc", strconv.Itoa(pid), "cgroup"), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rhumb.Errorf(rhumb.NotFound, "process %d isn't there: %w", pid, err)
	}
	if err != nil {
		return nil, err
	}
	groups := map[string]string{}
	for line := range strings.Lines(strings.TrimSuffix(string(text), "\n")) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 {
			continue
		}
		for _, controller := range strings.Split(parts[1], ",") {
			groups[controller] = parts[2]
		}
	}
	return groups, nil
}
