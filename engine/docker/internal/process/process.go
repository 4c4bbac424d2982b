// Package process finds and kills the processes of commands in containers, on the engine's machine: Docker has no call
// for that.
package process

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Kill kills a process and its descendants, as far as they belong to a container, and returns how many it killed.
func Kill(pid int, container string) (killed int) {
	for range 2 { // the second round finds children that were born during the first
		for _, pid := range family(pid) {
			if killIn(pid, container) {
				killed++
			}
		}
	}
	return killed
}

// Marked reports whether a process was started with "K=V" in its environment.
func Marked(pid int, mark string) bool {
	environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	return err == nil && slices.Contains(strings.Split(string(environment), "\x00"), mark)
}

// killIn kills a process if it belongs to a container. A descriptor holds the process during the check, so that its ID
// can't pass to another process.
func killIn(pid int, container string) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	cgroups, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil || !strings.Contains(string(cgroups), container) {
		return false
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}

// family returns a process and all its descendants, parents first.
func family(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	for _, entry := range entries {
		child, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(child); ok {
			children[parent] = append(children[parent], child)
		}
	}
	list := []int{pid}
	for i := 0; i < len(list); i++ {
		list = append(list, children[list[i]]...)
	}
	return list
}

// parentOf returns a process's parent: the second field after the name, which is in brackets and may contain anything.
func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}
