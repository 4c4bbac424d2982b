package main

import (
	"context"
	"fmt"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/keys"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/install"
)

func (a *app) backupCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var given keys.Given
	var force bool
	var cmd *cobra.Command
	cmd = a.command("backup [flags] FILE|-", "Write the server's state into one sealed file", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if err := conf.Installed(install.Machine{}, cmd.Flags()); err != nil {
			return err
		}
		if err := state.Folder(conf.Data).Readable(); err != nil {
			return err
		}
		if _, err := os.Lstat(args[0]); err == nil && !force && args[0] != "-" {
			return rhumb.Errorf(rhumb.Conflict, "%s is there already", args[0]).WithHint("choose another name, or say --force")
		}
		given.User = a.user()
		to, err := given.ToSeal(ctx)
		if err != nil {
			return err
		}
		return a.backup(ctx, conf.Data, args[0], to)
	})
	cmd.Long = "Write releases, secrets, certificates and the key that opens them into one file, sealed with a passphrase (asked for, or from\n" +
		"--passphrase-file or RHUMB_BACKUP_PASSPHRASE) or to age recipients. The server may go on meanwhile. What is in volumes is not in it.\n" +
		"It runs on the server's own machine, as root."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "the state `FOLDER`")
	cmd.Flags().StringArrayVar(&given.Recipients, "recipient", nil, "seal it to this age `RECIPIENT` (age1...); may be repeated")
	cmd.Flags().StringVar(&given.PassphraseFile, "passphrase-file", "", "read the passphrase from the first line of this `FILE`")
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE")
	return cmd
}

// backup writes a backup to a file, whole or not at all, or to the standard output.
func (a *app) backup(ctx context.Context, data, file string, to []age.Recipient) error {
	if file == "-" {
		if terminal.Is(a.stdout) {
			return rhumb.Errorf(rhumb.Invalid, "a backup is not for a terminal").WithHint("name a file, or redirect the output")
		}
		_, err := backup.Write(ctx, a.rawOut, state.Folder(data).Source(version), to...)
		return err
	}
	info, err := state.Folder(data).BackUp(ctx, file, version, to...)
	if err != nil {
		return err
	}
	return &outcome{words: fmt.Sprintf("backed up: %d files, %s, in %s; volumes are not in it", info.Files, view.Bytes(info.Bytes), file)}
}
