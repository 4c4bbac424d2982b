package doctor

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// daemons returns the servers among the processes.
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
		environ, err := f.Read("/proc/" + n + "/environ")
		d := Daemon{PID: pid, Engine: given(args, string(environ), "docker-host", usualEngine)}
		// otherwise it may be in the environment, which we can't read
		if d.Socket = given(args, string(environ), "socket", ""); d.Socket == "" && err == nil {
			d.Socket = usualSocket
		}
		if d.Socket != "" && !filepath.IsAbs(d.Socket) {
			cwd, err := f.Link("/proc/" + n + "/cwd")
			if d.Socket = filepath.Join(cwd, d.Socket); err != nil {
				d.Socket = ""
			}
		}
		found = append(found, d)
	}
	return found
}

// serves reports whether a command line is that of "rhumb server".
func serves(args []string) bool {
	if filepath.Base(args[0]) != "rhumb" {
		return false
	}
	i := slices.IndexFunc(args[1:], func(a string) bool { return !strings.HasPrefix(a, "-") })
	return i >= 0 && args[1:][i] == "server"
}

// The defaults of a server.
const (
	usualEngine = "unix:///var/run/docker.sock"
	usualSocket = "/run/rhumb/rhumb.sock"
)

// given returns the value of a server's flag or of its variable, or the usual value.
func given(args []string, environ, flag, usual string) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--"+flag+"="); ok {
			return v
		}
		if a == "--"+flag && i+1 < len(args) {
			return args[i+1]
		}
	}
	variable := "RHUMB_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_")) + "="
	for _, e := range strings.Split(environ, "\x00") {
		if v, ok := strings.CutPrefix(e, variable); ok {
			return v
		}
	}
	return usual
}
