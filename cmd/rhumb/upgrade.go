package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/httpapi/client"
	"rhumb/install"
	"rhumb/internal/atomicfile"
	"rhumb/sqlite"
)

const (
	backupsKept  = 3 // of those that upgrades make
	previousName = "rhumb.previous"
)

// upgradeFlags are what an upgrade is told.
type upgradeFlags struct {
	file    string
	binary  string
	restart string
	within  time.Duration
	force   bool
}

func (a *app) upgradeCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var f upgradeFlags
	var cmd *cobra.Command
	cmd = a.command("upgrade [flags] FILE", "Replace this server's rhumb by another version, and go back if that isn't well", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if err := installed(&conf, install.Machine{}, cmd); err != nil {
			return err
		}
		if err := needRoot("upgrade"); err != nil {
			return err
		}
		f.file = args[0]
		return a.upgrade(ctx, conf, f)
	})
	cmd.Long = "FILE is the new program, or a release archive with its SHA256SUMS beside it. The state is backed up, the program is replaced, the proxy\n" +
		"hands its connections to its successor, and the daemon is restarted. If the new daemon isn't well in time, everything is put back.\n" +
		"It ends with 0 if the new version serves, 3 if everything is as it was, 4 if that isn't so either, 1 if nothing was changed."
	fs := cmd.Flags()
	fs.StringVar(&conf.Data, "data", conf.Data, "the state folder")
	fs.StringVar(&conf.Socket, "socket", conf.Socket, "where the server answers")
	fs.StringVar(&f.binary, "binary", install.Binary, "the program that is replaced")
	fs.StringVar(&f.restart, "restart", "", "without systemd: a shell command that restarts the server")
	fs.DurationVar(&f.within, "within", time.Minute, "how long the new daemon has until it must be well")
	fs.BoolVar(&f.force, "force", false, "also to an older version, and from a server that isn't well")
	return cmd
}

func (a *app) upgrade(ctx context.Context, conf server.Config, f upgradeFlags) error {
	services, err := servicesOf(f)
	if err != nil {
		return err
	}
	unlock, err := lockUpgrades(conf.Data)
	if err != nil {
		return err
	}
	defer unlock()
	next, err := newProgram(ctx, f)
	if err != nil {
		return err
	}
	old, err := oldProgram(ctx, f.binary)
	if err != nil {
		return err
	}
	c, err := client.New("unix://" + conf.Socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := mayUpgrade(ctx, c, old, next, f.force); err != nil {
		return err
	}
	u := &install.Upgrade{Server: c, Services: services, Old: old, New: next, Within: f.within,
		Tell: func(words string) { fmt.Fprintln(a.stderr, words) }}
	a.keepState(u, conf.Data)
	result, err := u.Run(ctx)
	return upgraded(old, next, result, err)
}

// upgraded puts an upgrade's end into words and an exit status.
func upgraded(old, next install.Program, result install.Result, err error) error {
	switch {
	case err != nil:
		return err
	case result.Failed == nil:
		return &outcome{words: fmt.Sprintf("upgraded: rhumb %s to %s", old.Version, next.Version)}
	case result.Left != nil:
		words := fmt.Sprintf("failed and not fully put back: %s; and then: %s", result.Failed, result.Left)
		if hint := rhumb.ErrorHint(result.Left); hint != "" {
			words += "\nhint: " + hint
		}
		return &outcome{exit: rhumb.ExitStuck, words: words}
	}
	return &outcome{exit: rhumb.ExitRolledBack, words: fmt.Sprintf("failed and put back: rhumb %s serves; %s\nhint: see why: journalctl -n 50 -u rhumb -u rhumb-proxy",
		old.Version, result.Failed)}
}

// servicesOf tells how the server is restarted.
func servicesOf(f upgradeFlags) (install.Services, error) {
	m := install.Machine{}
	if f.restart != "" {
		return install.ByCommand{Machine: m, Path: f.binary, Again: f.restart}, nil
	}
	if !m.Installed() {
		return nil, rhumb.Errorf(rhumb.Unsupported, "rhumb is no systemd service here, so how the server is restarted isn't known").
			WithHint("say --binary PATH and --restart COMMAND; or by hand: stop the server, put the new program in the old one's place, start it")
	}
	if f.binary != install.Binary {
		return nil, rhumb.Errorf(rhumb.Invalid, "--binary goes with --restart: the services run %s", install.Binary)
	}
	return install.Systemd{Machine: m}, nil
}

// lockUpgrades makes this the only upgrade, until unlock.
func lockUpgrades(data string) (unlock func(), err error) {
	dir := state.Folder(data).Backups()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the folder of backups can't be made: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the folder of backups can't be locked: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "another upgrade goes on")
	}
	return func() { f.Close() }, nil
}

// mayUpgrade refuses what can't end well.
func mayUpgrade(ctx context.Context, c *client.Client, old, next install.Program, force bool) error {
	switch {
	case slices.Equal(old.Content, next.Content):
		return &outcome{words: "rhumb " + old.Version + " is what runs here already"}
	case next.Schema < old.Schema:
		return rhumb.Errorf(rhumb.Unsupported, "rhumb %s doesn't know the database of rhumb %s", next.Version, old.Version).
			WithHint("to go back that far: stop the server, put the old program in place, rhumb restore a backup of that time, start it")
	case older(next.Version, old.Version) && !force:
		return rhumb.Errorf(rhumb.Invalid, "rhumb %s is older than %s", next.Version, old.Version).WithHint("say --force if you mean it")
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	info, err := c.Info(ctx)
	if err == nil && !info.Proxy {
		err = rhumb.Errorf(rhumb.Unavailable, "the proxy does not answer")
	}
	if err != nil && !force {
		return rhumb.Errorf(rhumb.Unavailable, "the server isn't well before the upgrade: %w", err).WithHint("rhumb doctor tells more; --force upgrades all the same")
	}
	return nil
}

// keepState has the state and the old program kept, and the state put back if need be.
func (a *app) keepState(u *install.Upgrade, data string) {
	var kept string
	u.Backup = func(ctx context.Context) error {
		if err := keepProgram(data, u.Old); err != nil {
			return err
		}
		var err error
		if kept, err = backUpToUpgrade(ctx, data, u.Old.Version); err == nil {
			u.Tell("state backed up: " + kept)
		}
		return err
	}
	u.Schema = func(ctx context.Context) (int, error) {
		held, err := sqlite.Peek(ctx, state.Folder(data).Database())
		return held.Schema, err
	}
	u.PutBack = func(ctx context.Context) error {
		unlock, err := state.Folder(data).Lock()
		if err != nil {
			return err
		}
		defer unlock()
		f, err := os.Open(kept)
		if err != nil {
			return rhumb.Errorf(rhumb.Denied, "the backup can't be read: %w", err)
		}
		defer f.Close()
		ids, err := identities(state.Folder(data).Key())
		if err != nil {
			return err
		}
		_, _, err = backup.Restore(f, data, nil, ids...)
		return err
	}
}

func keepProgram(data string, p install.Program) error {
	if err := atomicfile.Write(filepath.Join(state.Folder(data).Backups(), previousName), p.Content, 0o700); err != nil {
		return rhumb.Errorf(rhumb.Denied, "the old program can't be kept: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// backUpToUpgrade writes a backup that the state folder's own key opens, and removes the oldest ones of that kind.
func backUpToUpgrade(ctx context.Context, data, version string) (file string, err error) {
	ids, err := identities(state.Folder(data).Key())
	if err != nil {
		return "", err
	}
	own, ok := ids[0].(*age.X25519Identity)
	if !ok {
		return "", rhumb.Errorf(rhumb.Invalid, "the state folder's key is of another kind")
	}
	dir := state.Folder(data).Backups()
	file = filepath.Join(dir, "upgrade-"+time.Now().UTC().Format("20060102T150405")+"-from-"+strings.ReplaceAll(version, "/", "_")+".rhumb")
	if _, err := backUp(ctx, data, file, own.Recipient()); err != nil {
		return "", err
	}
	all, err := filepath.Glob(filepath.Join(dir, "upgrade-*.rhumb")) // sorted: by time
	if err != nil {
		return "", rhumb.Errorf(rhumb.Internal, "old backups can't be listed: %w", err)
	}
	var errs []error
	for len(all) > backupsKept {
		errs = append(errs, os.Remove(all[0]))
		all = all[1:]
	}
	if err := errors.Join(errs...); err != nil {
		return "", rhumb.Errorf(rhumb.Denied, "old backups can't be removed: %w", err)
	}
	return file, nil
}
