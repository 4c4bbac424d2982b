package convert

import (
	"slices"
	"strconv"
	"strings"

	units "github.com/docker/go-units"

	"rhumb"
)

var (
	// tmpfsDefaults are the engine's defaults, which a file may contain too.
	tmpfsDefaults = []string{"", "rw", "noexec", "nosuid", "nodev", "relatime"}
	// tmpfsFlags are the other flags that the engine accepts.
	tmpfsFlags = []string{"exec", "suid", "dev", "sync", "async", "dirsync", "atime", "noatime", "diratime", "nodiratime",
		"norelatime", "strictatime", "nostrictatime"}
)

// tmpfs converts "/run" and "/run:size=64m,mode=1770,exec,uid=1000".
func (c *converter) tmpfs(at, s string) (rhumb.Mount, bool) {
	target, options, _ := strings.Cut(s, ":")
	m := rhumb.Mount{Type: rhumb.MountTmpfs, Target: target}
	for option := range strings.SplitSeq(options, ",") {
		name, value, valued := strings.Cut(option, "=")
		ok := true
		switch {
		case !valued && name == "ro":
			m.ReadOnly = true
		case !valued && slices.Contains(tmpfsDefaults, name):
			// Of contradicting flags only the last counts.
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return name == "no"+o })
		case !valued && slices.Contains(tmpfsFlags, name):
			m.Options = append(m.Options, name)
		case valued:
			ok = tmpfsValue(&m, name, value)
		default:
			ok = false
		}
		if !ok {
			c.bad.At(at, "write it as /run:size=64m,mode=1777,uid=1000,exec", "invalid option %q", option)
			return m, false
		}
	}
	if len(m.Options) == 0 {
		m.Options = nil // same hash as without options
	}
	return m, true
}

// tmpfsValue sets an option that has a value, and reports whether the value is valid.
func tmpfsValue(m *rhumb.Mount, name, value string) bool {
	switch name {
	case "size":
		size, err := units.RAMInBytes(value)
		if percent, ok := strings.CutSuffix(value, "%"); ok {
			_, err = strconv.ParseUint(percent, 10, 16)
			m.Options = append(m.Options, "size="+value)
			return err == nil
		}
		m.Size = size
		return err == nil && size >= 0
	case "mode":
		mode, err := strconv.ParseUint(value, 8, 32)
		m.Mode = uint32(mode & 0o7777)
		return err == nil
	case "uid", "gid":
		_, err := strconv.ParseUint(value, 10, 31)
		m.Options = append(m.Options, name+"="+value)
		return err == nil
	case "nr_inodes", "nr_blocks":
		_, err := units.RAMInBytes(value)
		m.Options = append(m.Options, name+"="+value)
		return err == nil
	}
	return false
}
