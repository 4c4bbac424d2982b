// Package cgroup reads what the control groups of containers have used, in the hierarchies of version 1, of version 2,
// or of both. The files of a group stay open.
package cgroup

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/observe/measure/internal/kernfile"
)

// Usage is what a group has used since it was created, and what it may use. NaN: unknown, or without a limit.
type Usage struct {
	CPU         float64 // seconds
	Throttled   float64 // seconds in which its limit of CPU kept it from running
	CPULimit    float64 // in CPUs
	Memory      float64 // bytes, without file pages that the kernel can drop
	MemoryLimit float64 // bytes
	OOMKills    float64 // processes
	Read        float64 // bytes, from block devices
	Written     float64 // bytes, to block devices
	Processes   float64 // and threads
	// Pressure is the time in which at least one task waited for CPU, memory and I/O, in seconds.
	Pressure [3]float64
}

// Resources are the resources of Usage.Pressure.
var Resources = [3]string{"cpu", "memory", "io"}

// Group is the control group of one container. It is not safe for concurrent use.
type Group struct {
	files []file
	disks disks
	buf   []byte
}

// file is an open file of a group, and what reads it.
type file struct {
	kernfile.File
	take func(text []byte, r *reading)
}

// reading is what the files of a group say.
type reading struct {
	Usage
	inactive      float64 // bytes in file pages that the kernel can drop
	quota, period float64 // microseconds of CPU in each period
	disks         *disks
}

// Open opens the group of a container by one of its processes. root is the folder that has proc and sys in it.
// NotFound: the process has ended, or is in no group of the container's.
func Open(root string, pid int, container string) (*Group, error) {
	places, err := find(root, pid, container)
	if err != nil {
		return nil, err
	}
	g := &Group{disks: disks{root: root, whole: map[string]bool{}}}
	have := map[string]bool{} // by topic
	for _, s := range sources {
		folder := places[s.controller]
		if folder == "" || have[s.topic] {
			continue
		}
		for _, name := range s.names {
			f, err := kernfile.Open(filepath.Join(folder, name))
			if err == nil {
				have[s.topic] = true
				g.files = append(g.files, file{f, s.take})
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				g.Close()
				return nil, err
			}
		}
	}
	if len(g.files) == 0 {
		return nil, rhumb.Errorf(rhumb.NotFound, "container %.12s has no control group that can be read", container)
	}
	return g, nil
}

// Close closes the group's files.
func (g *Group) Close() {
	for _, f := range g.files {
		f.Close()
	}
	g.files = nil
}

// Read returns what the group has used. NotFound: the group is gone.
func (g *Group) Read() (Usage, error) {
	none := math.NaN()
	r := reading{disks: &g.disks, inactive: none, quota: none, period: none,
		Usage: Usage{none, none, none, none, none, none, none, none, none, [3]float64{none, none, none}}}
	for _, f := range g.files {
		text, err := f.Read(g.buf)
		g.buf = text[:0]
		if errors.Is(err, unix.ENODEV) {
			return Usage{}, rhumb.Errorf(rhumb.NotFound, "the control group is gone")
		}
		if err == nil { // others are of something that the kernel has turned off
			f.take(text, &r)
		}
	}
	if r.quota > 0 && r.period > 0 {
		r.CPULimit = r.quota / r.period
	}
	if r.inactive >= 0 {
		r.Memory = max(0, r.Memory-r.inactive)
	}
	return r.Usage, nil
}

// folders are the folders of a group by controller; "" is that of version 2.
type folders map[string]string

// find returns the folders of a container's group. Beside version 1, older engines leave a container's processes in a
// group of their own in the hierarchy of version 2; its path doesn't name the container, and its files are not read.
func find(root string, pid int, container string) (folders, error) {
	mounts, err := mounted(root)
	if err != nil {
		return nil, err
	}
	groups, err := groupsOf(root, pid)
	if err != nil {
		return nil, err
	}
	fs := folders{}
	for controller, path := range groups {
		m, ok := mounts[controller]
		own := cut(path, container)
		if !ok || own == "" {
			continue
		}
		if m.root != "/" {
			own = strings.TrimPrefix(own, m.root)
		}
		fs[controller] = filepath.Join(root, m.point, own)
	}
	if len(fs) == 0 {
		return nil, rhumb.Errorf(rhumb.NotFound, "process %d is in no control group of container %.12s", pid, container)
	}
	return fs, nil
}

// cut returns a group's path up to the part that names the container: a container may divide its own group further.
// "": no part names it.
func cut(path, container string) string {
	at := strings.LastIndex(path, container)
	if container == "" || at < 0 {
		return ""
	}
	if end := strings.IndexByte(path[at:], '/'); end >= 0 {
		return path[:at+end]
	}
	return path
}
