package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/keys"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/install"
)

func (a *app) restoreCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var given keys.Given
	var force bool
	var cmd *cobra.Command
	cmd = a.command("restore [flags] FILE", "Put a backup of the server's state back", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if err := conf.Installed(install.Machine{}, cmd.Flags()); err != nil {
			return err
		}
		f, err := os.Open(args[0])
		if errors.Is(err, fs.ErrNotExist) {
			return rhumb.Errorf(rhumb.Invalid, "%s: there is no such file", args[0])
		}
		if err != nil {
			return rhumb.Errorf(rhumb.Denied, "%s can't be read: %w", args[0], err)
		}
		defer f.Close()
		unlock, err := state.Folder(conf.Data).ToRestore(ctx, force)
		if err != nil {
			return err
		}
		defer unlock()
		given.User = a.user()
		return a.restore(ctx, f, state.Folder(conf.Data), given)
	})
	cmd.Long = "Put releases, secrets, certificates and their key back into the state folder of a server that is stopped. The backup is looked through\n" +
		"to its end before anything changes. State that is there is replaced only with --force, and then set aside, not deleted."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "the state `FOLDER`")
	cmd.Flags().StringVar(&given.Identities, "identity", "", "open it with the age identities in this `FILE`")
	cmd.Flags().StringVar(&given.PassphraseFile, "passphrase-file", "", "read the passphrase from the first line of this `FILE`")
	cmd.Flags().BoolVar(&force, "force", false, "replace the state that is there; it is set aside")
	return cmd
}

// restore puts the backup back, if this rhumb can work with it.
func (a *app) restore(ctx context.Context, f *os.File, folder state.Folder, given keys.Given) error {
	with, err := given.ToOpen(ctx, folder)
	if err != nil {
		return err
	}
	info, aside, err := backup.Restore(f, string(folder), state.KnowsSchema, with...)
	if err != nil {
		return err
	}
	words := fmt.Sprintf("restored: the state of %s, %s, by rhumb %s", info.Host, info.Made.Local().Format(time.DateTime), info.Version)
	if aside != "" {
		words += "\nwhat was there is in " + aside
	}
	words += "\nnow start the server: systemctl start rhumb\n" +
		"It finds the replicas that run, and starts those that don't, if their images are here or can be pulled. Volumes are restored apart."
	return &outcome{words: words}
}
