package install

import (
	"context"

	"rhumb"
)

// Systemd controls the services of an installation.
type Systemd struct{ Machine }

// Place installs a program, and the units and completions that it comes with: it runs the program's own "rhumb
// install --no-start".
func (s Systemd) Place(ctx context.Context, p Program) error {
	if err := s.Machine.Place(Binary, p.Content); err != nil {
		return err
	}
	return s.run(ctx, Binary, "install", "--no-start")
}

// Stop stops the daemon.
func (s Systemd) Stop(ctx context.Context) error { return s.run(ctx, "systemctl", "stop", Daemon) }

// ByCommand controls a daemon under another supervisor, or under none. Such a daemon starts its proxy itself.
type ByCommand struct {
	Machine
	Path  string // of the program
	Again string // the shell command that restarts the daemon
}

// Place installs the program.
func (c ByCommand) Place(_ context.Context, p Program) error {
	return c.Machine.Place(c.Path, p.Content)
}

// Reload does nothing: a daemon replaces its proxy when it starts.
func (c ByCommand) Reload(context.Context) error { return nil }

// Restart runs the command.
func (c ByCommand) Restart(ctx context.Context) error { return c.run(ctx, "sh", "-c", c.Again) }

// Stop returns Unsupported: there is no command for it.
func (c ByCommand) Stop(context.Context) error {
	return rhumb.Errorf(rhumb.Unsupported, "the database was changed by the new program, and how the server is "+
		"stopped isn't known").
		WithHint("stop it, run rhumb restore --force with the newest file in the state folder's backups, and start it")
}

var _, _ Services = Systemd{}, ByCommand{}
