package doctor

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// daemons looks for servers among the processes.
func daemons(f files) []Daemon {
	names, err := f.Names("/proc")
	if err != nil {
		return nil
	}
	var found []Daemon
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		line, err := f.Read("/proc/" + n + "/cmdline")
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
		if !serves(args) {
			continue
		}
		environ, _ := f.Read("/proc/" + n + "/environ") // not ours to read: the flag alone says it
		found = append(found, Daemon{pid, engineOf(args, string(environ))})
	}
	return found
}

// serves tells whether a command line is that of "rhumb server".
func serves(args []string) bool {
	if filepath.Base(args[0]) != "rhumb" {
		return false
	}
	i := slices.IndexFunc(args[1:], func(a string) bool { return !strings.HasPrefix(a, "-") })
	return i >= 0 && args[1:][i] == "server"
}

// usualEngine is where servers look unless told otherwise.
const usualEngine = "unix:///var/run/docker.sock"

// engineOf tells which engine a server was given.
func engineOf(args []string, environ string) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--docker-host="); ok {
			return v
		}
		if a == "--docker-host" && i+1 < len(args) {
			return args[i+1]
		}
	}
	for _, e := range strings.Split(environ, "\x00") {
		if v, ok := strings.CutPrefix(e, "RHUMB_DOCKER_HOST="); ok {
			return v
		}
	}
	return usualEngine
}
