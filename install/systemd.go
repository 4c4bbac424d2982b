package install

import (
	"context"

	"rhumb"
)

// Systemd are the services of an installation.
type Systemd struct{ Machine }

// Place also brings units and completions to what that program wants; "rhumb install --no-start" of its own does it.
func (s Systemd) Place(ctx context.Context, p Program) error {
	if err := s.Machine.Place(Binary, p.Content); err != nil {
		return err
	}
	return s.run(ctx, Binary, "install", "--no-start")
}

// Stop stops the daemon.
func (s Systemd) Stop(ctx context.Context) error { return s.run(ctx, "systemctl", "stop", Daemon) }

// ByCommand is a daemon under another supervisor, or none: it starts its proxy by itself.
type ByCommand struct {
	Machine
	Path  string // of the program
	Again string // a shell command that restarts the daemon
}

// Place puts the program in place.
func (c ByCommand) Place(_ context.Context, p Program) error {
	return c.Machine.Place(c.Path, p.Content)
}

// Reload does nothing: a daemon that starts takes the proxy along.
func (c ByCommand) Reload(context.Context) error { return nil }

// Restart runs the command.
func (c ByCommand) Restart(ctx context.Context) error { return c.run(ctx, "sh", "-c", c.Again) }

// Stop is not known.
func (c ByCommand) Stop(context.Context) error {
	return rhumb.Errorf(rhumb.Unsupported, "the database was changed by the new program, and how the server is "+
		"stopped isn't known").
		WithHint("stop it, run rhumb restore --force with the newest file in the state folder's backups, and start it")
}

var _, _ Services = Systemd{}, ByCommand{}
