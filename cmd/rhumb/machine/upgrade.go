package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/preflight"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/httpapi/client"
	"rhumb/install"
	"rhumb/sqlite"
)

// upgradeFlags holds the flags of an upgrade.
type upgradeFlags struct {
	file    string
	binary  string
	restart string
	within  time.Duration
	force   bool
}

func upgradeCommand(a *cli.App) *cobra.Command {
	conf := server.DefaultConfig()
	var f upgradeFlags
	var cmd *cobra.Command
	cmd = a.Command("upgrade [flags] FILE",
		"Replace this server's rhumb with another version; go back if that isn't well", cobra.ExactArgs(1),
		func(ctx context.Context, args []string) error {
			if err := conf.Installed(install.Machine{}, cmd.Flags()); err != nil {
				return err
			}
			if err := preflight.Root("upgrade"); err != nil {
				return err
			}
			f.file = args[0]
			return upgrade(ctx, a, conf, f)
		})
	cmd.Long = "FILE is the new program, or a release archive with its SHA256SUMS beside it. The state is backed\n" +
		"up, the program is replaced, the proxy hands its connections to its successor, and the daemon is\n" +
		"restarted. If the new daemon isn't well in time, everything is put back. It exits with 0 if the\n" +
		"new version serves, with 3 if everything is as it was, with 4 if putting back failed too, and with\n" +
		"1 if nothing was changed."
	fs := cmd.Flags()
	fs.StringVar(&conf.Data, "data", conf.Data, "use this state `FOLDER`")
	fs.StringVar(&conf.Socket, "socket", conf.Socket, "reach the server at this `SOCKET`")
	fs.StringVar(&f.binary, "binary", install.Binary, "replace this `PROGRAM`")
	fs.StringVar(&f.restart, "restart", "", "without systemd: restart the server with this shell `COMMAND`")
	fs.DurationVar(&f.within, "within", time.Minute, "go back if the new daemon isn't well after this `TIME`")
	fs.BoolVar(&f.force, "force", false, "allow an older version, and a server that isn't well")
	return cmd
}

func upgrade(ctx context.Context, a *cli.App, conf server.Config, f upgradeFlags) error {
	services, err := servicesOf(f)
	if err != nil {
		return err
	}
	unlock, err := state.Folder(conf.Data).LockUpgrades()
	if err != nil {
		return err
	}
	defer unlock()
	next, err := install.ReadProgram(ctx, f.file, filepath.Dir(f.binary))
	if err != nil {
		return err
	}
	old, err := install.InstalledProgram(ctx, f.binary)
	if err != nil {
		return err
	}
	if slices.Equal(old.Content, next.Content) {
		return &cli.Outcome{Words: "nothing changed: rhumb " + old.Version + " already runs here"}
	}
	c, err := client.New("unix://" + conf.Socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := preflight.Upgrade(ctx, c, old, next, f.force); err != nil {
		return err
	}
	u := &install.Upgrade{Server: c, Services: services, Old: old, New: next, Within: f.within,
		Tell: func(words string) { fmt.Fprintln(a.Stderr, words) }}
	keepState(u, state.Folder(conf.Data), a.Version)
	result, err := u.Run(ctx)
	return upgraded(old, next, result, err)
}

// upgraded returns the outcome of an upgrade.
func upgraded(old, next install.Program, result install.Result, err error) error {
	switch {
	case err != nil:
		return err
	case result.Failed == nil:
		return &cli.Outcome{Words: fmt.Sprintf("upgraded: rhumb %s to %s", old.Version, next.Version)}
	case result.Left != nil:
		words := fmt.Sprintf("failed and not fully put back: %s; then: %s", result.Failed, result.Left)
		if hint := rhumb.ErrorHint(result.Left); hint != "" {
			words += "\nhint: " + hint
		}
		return &cli.Outcome{Exit: rhumb.ExitStuck, Words: words}
	}
	words := fmt.Sprintf("failed and put back: rhumb %s serves; %s\n", old.Version, result.Failed) +
		"hint: see why: journalctl -n 50 -u rhumb -u rhumb-proxy"
	return &cli.Outcome{Exit: rhumb.ExitRolledBack, Words: words}
}

// servicesOf returns the services that an upgrade restarts.
func servicesOf(f upgradeFlags) (install.Services, error) {
	m := install.Machine{}
	if f.restart != "" {
		return install.ByCommand{Machine: m, Path: f.binary, Again: f.restart}, nil
	}
	if !m.Installed() {
		return nil, rhumb.Errorf(rhumb.Unsupported,
			"rhumb is not a systemd service here, so upgrade can't restart the server").
			WithHint("pass --binary PATH and --restart COMMAND; " +
				"or by hand: stop the server, replace the program, start the server")
	}
	if f.binary != install.Binary {
		return nil, rhumb.Errorf(rhumb.Invalid, "--binary needs --restart: the services run %s", install.Binary)
	}
	return install.Systemd{Machine: m}, nil
}

// keepState makes the upgrade back up the state and keep the old program, and restore the state when it goes back. by
// is the version of rhumb that writes the backup.
func keepState(u *install.Upgrade, folder state.Folder, by string) {
	var kept string
	u.Backup = func(ctx context.Context) error {
		if err := folder.KeepProgram(u.Old.Content); err != nil {
			return err
		}
		var err error
		if kept, err = folder.BackUpToUpgrade(ctx, u.Old.Version, by); err == nil {
			u.Tell("state backed up: " + kept)
		}
		return err
	}
	u.Schema = func(ctx context.Context) (int, error) {
		held, err := sqlite.Peek(ctx, folder.Database())
		return held.Schema, err
	}
	u.PutBack = func(ctx context.Context) error {
		unlock, err := folder.Lock()
		if err != nil {
			return err
		}
		defer unlock()
		f, err := os.Open(kept)
		if err != nil {
			return rhumb.Errorf(rhumb.Denied, "can't read the backup: %w", err)
		}
		defer f.Close()
		ids, err := state.Identities(folder.Key())
		if err != nil {
			return err
		}
		_, _, err = backup.Restore(f, string(folder), nil, ids...)
		return err
	}
}
