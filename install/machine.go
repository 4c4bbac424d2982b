package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const (
	maxFile   = 1 << 30 // bytes of a program or another file of rhumb's
	maxOutput = 64 << 10
)

// Machine is the machine to install rhumb on.
type Machine struct {
	// Root is a prefix of every path; "" is the machine itself.
	Root string
	// Command runs a command and returns its standard output and error output. If it is nil, commands run for real.
	Command func(ctx context.Context, args ...string) (string, error)
}

func (m Machine) path(p string) string { return filepath.Join("/", m.Root, p) }

func (m Machine) command(ctx context.Context, args ...string) (string, error) {
	if m.Command != nil {
		return m.Command(ctx, args...)
	}
	// The output goes to a file, not a pipe: a process that the command leaves running, such as a server, isn't
	// waited for and can go on writing.
	out, err := os.CreateTemp("", "rhumb-said-")
	if err != nil {
		return "", err
	}
	defer out.Close()
	os.Remove(out.Name())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	said, readErr := io.ReadAll(io.NewSectionReader(out, 0, maxOutput))
	return string(said), errors.Join(err, readErr)
}

// Systemd reports whether systemd is the machine's first process.
func (m Machine) Systemd() bool {
	_, err := os.Stat(m.path(systemdMark))
	return err == nil
}

// Look returns which parts of an installation exist.
func (m Machine) Look(ctx context.Context, data string) (Facts, error) {
	f := Facts{Files: map[string][]byte{}, Running: map[string]bool{}, Enabled: map[string]bool{}}
	paths := []string{Binary, Settings, unitFolder + Daemon, unitFolder + Proxy, unitFolder + Observe}
	for _, p := range completions {
		paths = append(paths, p)
	}
	for _, p := range paths {
		b, err := atomicfile.Read(m.path(p), maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return f, rhumb.Errorf(rhumb.Denied, "%s can't be read: %w", p, err)
		}
		f.Files[p] = b
	}
	info, err := os.Stat(m.path(data))
	f.Data = err == nil && info.IsDir()
	f.Group = m.says(ctx, "getent", "group", Group)
	f.User = m.says(ctx, "getent", "passwd", User)
	for _, unit := range []string{Daemon, Proxy, Observe} {
		state, err := m.command(ctx, "systemctl", "is-active", unit)
		f.Running[unit] = err == nil || unit == Observe && strings.TrimSpace(state) == "activating"
		f.Enabled[unit] = m.says(ctx, "systemctl", "is-enabled", "--quiet", unit)
	}
	return f, ctx.Err()
}

// says runs a command and reports whether it exits with status 0.
func (m Machine) says(ctx context.Context, args ...string) bool {
	_, err := m.command(ctx, args...)
	return err == nil
}

// Perform carries out the steps in order, until one fails. It calls tell before each.
func (m Machine) Perform(ctx context.Context, steps []Step, tell func(Step)) error {
	for _, s := range steps {
		tell(s)
		if err := m.perform(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (m Machine) perform(ctx context.Context, s Step) error {
	var err error
	switch s.Kind {
	case Folder:
		err = os.MkdirAll(m.path(s.Path), s.Mode)
	case Write:
		if err = os.MkdirAll(filepath.Dir(m.path(s.Path)), 0o755); err == nil {
			err = atomicfile.Write(m.path(s.Path), s.Content, s.Mode)
		}
	case Remove:
		err = os.RemoveAll(m.path(s.Path))
	case Run:
		return m.run(ctx, s.Args...)
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "%s: %w", s, err)
	}
	return nil
}

// run runs a command. If the command fails, the error has its last line of output.
func (m Machine) run(ctx context.Context, args ...string) error {
	out, err := m.command(ctx, args...)
	if err == nil {
		return nil
	}
	line := strings.Join(args, " ")
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return rhumb.Errorf(rhumb.Timeout, "%s: timed out", line)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	e := rhumb.Errorf(rhumb.Unavailable, "%s: %w", line, err)
	if words := strings.TrimSpace(out); words != "" {
		e = rhumb.Errorf(rhumb.Unavailable, "%s: %s", line, words)
	}
	if args[0] == "systemctl" {
		unit := args[len(args)-1]
		return e.WithHint("look into the log: journalctl -n 30 -u %s", unit)
	}
	return e
}

// Reload makes a proxy of the installed program take over from the running one.
func (m Machine) Reload(ctx context.Context) error { return m.run(ctx, "systemctl", "reload", Proxy) }

// Restart restarts the daemon, and the service that keeps logs if it is enabled. It doesn't wait until they answer.
func (m Machine) Restart(ctx context.Context) error {
	if err := m.run(ctx, "systemctl", "restart", "--no-block", Daemon); err != nil {
		return err
	}
	if m.says(ctx, "systemctl", "is-enabled", "--quiet", Observe) {
		_ = m.run(ctx, "systemctl", "restart", "--no-block", Observe) // an upgrade doesn't fail because of it
	}
	return nil
}

// Place replaces the installed program atomically.
func (m Machine) Place(path string, program []byte) error {
	if err := atomicfile.Write(m.path(path), program, 0o755); err != nil {
		return rhumb.Errorf(rhumb.Denied, "the program can't be installed: %w", err)
	}
	return nil
}

// Text returns the steps, one per line.
func Text(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

// Settings returns the variables in an installation's settings; none without an installation.
func (m Machine) Settings() (map[string]string, error) {
	b, err := atomicfile.Read(m.path(Settings), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "%s can't be read: %w", Settings, err).WithHint("run it as root")
	}
	return Values(b), nil
}

// Installed reports whether rhumb's services are installed.
func (m Machine) Installed() bool {
	_, err := os.Stat(m.path(unitFolder + Daemon))
	return err == nil && m.Systemd()
}
