package state

import (
	"path/filepath"

	"rhumb/internal/leftlog"
)

// Kept is the path of the folder of kept logs.
type Kept string

// KeptIn returns the folder of kept logs inside a state folder.
func KeptIn(f Folder) Kept { return Kept(f.path("observe")) }

// Socket returns the socket at which the daemon reads kept logs.
func (k Kept) Socket() string { return filepath.Join(string(k), "api.sock") }

// Left returns the folder with the log files of removed containers whose lines are not collected yet.
func (k Kept) Left() leftlog.Folder { return leftlog.Folder(filepath.Join(string(k), "left")) }

// Log returns the log file of the process that keeps logs, where that is not a systemd service.
func (k Kept) Log() string { return string(k) + ".log" }

// Lines is the path of the folder in which rhumb's processes write lines that are kept with those of the containers.
type Lines string

// LinesIn returns the folder of lines inside a state folder.
func LinesIn(f Folder) Lines { return Lines(f.path("lines")) }

// Daemon returns the file of the daemon's log.
func (l Lines) Daemon() string { return filepath.Join(string(l), "daemon.log") }

// Proxy returns the file of the proxy's log.
func (l Lines) Proxy() string { return filepath.Join(string(l), "proxy.log") }

// Events returns the file of the stacks' events.
func (l Lines) Events() string { return filepath.Join(string(l), "events.log") }

// Hooks returns the file of what hooks inside replicas write.
func (l Lines) Hooks() string { return filepath.Join(string(l), "hooks.log") }

// Access returns the file of the requests that the proxy has served.
func (l Lines) Access() string { return filepath.Join(string(l), "access.log") }
