package docker

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"rhumb/engine/docker/internal/observed"
)

// kill kills a command that runs in a container, and its children. The API has no call for it, but tells the
// process's number on the machine; whether that process is in the container is looked at before anything is sent.
func (e *Engine) kill(ctx context.Context, id, run string) {
	state, err := e.api.ExecInspect(ctx, run, client.ExecInspectOptions{})
	if err != nil {
		e.log.Warn("command may be left in container", "container", observed.Short(id), "error", err)
		return
	}
	if !state.Running || state.PID <= 1 {
		return
	}
	// Children that are born meanwhile show up in the second round.
	killed := 0
	for range 2 {
		for _, pid := range family(state.PID) {
			if killIn(pid, state.ContainerID) {
				killed++
			}
		}
	}
	if killed == 0 {
		e.log.Warn("command is left in container: its process can't be reached from here", "container", observed.Short(id), "pid", state.PID)
	}
}

// onceVariable marks the processes of a command that must not run twice at a time, so that a daemon that comes back finds them.
const onceVariable = "RHUMB_HOOK"

// killEarlier kills what was begun in a container under the same word and still runs: who began it has died.
func (e *Engine) killEarlier(ctx context.Context, c *container.InspectResponse, word string) {
	for _, run := range c.ExecIDs {
		state, err := e.api.ExecInspect(ctx, run, client.ExecInspectOptions{})
		if err != nil || !state.Running || state.PID <= 1 {
			continue
		}
		environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(state.PID), "environ"))
		if err == nil && slices.Contains(strings.Split(string(environment), "\x00"), onceVariable+"="+word) {
			e.kill(ctx, c.ID, run)
		}
	}
}

// killIn kills a process if it belongs to a container. It is held by a descriptor while it is looked at, so that its
// number can't pass to another process in between.
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

// family gives a process and all that descend from it, parents first.
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

// parentOf reads a process's parent: the second field after the name, which is in brackets and may hold anything.
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
