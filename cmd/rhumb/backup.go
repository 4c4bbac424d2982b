package main

import (
	"context"
	"fmt"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/install"
)

func (a *app) backupCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var recipients []string
	var passphraseFile string
	var force bool
	var cmd *cobra.Command
	cmd = a.command("backup [flags] FILE|-", "Write the server's state into one sealed file", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if err := installed(&conf, install.Machine{}, cmd); err != nil {
			return err
		}
		if err := state.Folder(conf.Data).Readable(); err != nil {
			return err
		}
		if _, err := os.Lstat(args[0]); err == nil && !force && args[0] != "-" {
			return rhumb.Errorf(rhumb.Conflict, "%s is there already", args[0]).WithHint("choose another name, or say --force")
		}
		to, err := a.sealTo(ctx, recipients, passphraseFile)
		if err != nil {
			return err
		}
		return a.backup(ctx, conf.Data, args[0], to)
	})
	cmd.Long = "Write releases, secrets, certificates and the key that opens them into one file, sealed with a passphrase (asked for, or from\n" +
		"--passphrase-file or RHUMB_BACKUP_PASSPHRASE) or to age recipients. The server may go on meanwhile. What is in volumes is not in it.\n" +
		"It runs on the server's own machine, as root."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "the state folder")
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "seal it to this age recipient (age1...); may be repeated")
	cmd.Flags().StringVar(&passphraseFile, "passphrase-file", "", "read the passphrase from the first line of this file")
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE")
	return cmd
}

// sealTo gives those who may open a backup.
func (a *app) sealTo(ctx context.Context, recipients []string, passphraseFile string) ([]age.Recipient, error) {
	var to []age.Recipient
	for _, s := range recipients {
		r, err := age.ParseX25519Recipient(s)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "%q is no age recipient", s).WithHint("age-keygen prints one: age1...")
		}
		to = append(to, r)
	}
	if len(to) > 0 && passphraseFile != "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "a backup is sealed to recipients or with a passphrase, not both")
	}
	if len(to) > 0 {
		return to, nil
	}
	p, err := a.passphrase(ctx, passphraseFile, true)
	if err != nil {
		return nil, err
	}
	r, err := age.NewScryptRecipient(p)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "the passphrase can't be used: %w", err)
	}
	return []age.Recipient{r}, nil
}

// backup writes a backup to a file, whole or not at all, or to the standard output.
func (a *app) backup(ctx context.Context, data, file string, to []age.Recipient) error {
	if file == "-" {
		if terminal.Is(a.stdout) {
			return rhumb.Errorf(rhumb.Invalid, "a backup is not for a terminal").WithHint("name a file, or redirect the output")
		}
		_, err := backup.Write(ctx, a.stdout, state.Folder(data).Source(version), to...)
		return err
	}
	info, err := state.Folder(data).BackUp(ctx, file, version, to...)
	if err != nil {
		return err
	}
	return &outcome{words: fmt.Sprintf("backed up: %d files, %s, in %s; volumes are not in it", info.Files, view.Bytes(info.Bytes), file)}
}
