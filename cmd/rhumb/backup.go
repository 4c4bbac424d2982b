package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/cmd/rhumb/view"
	"rhumb/install"
	"rhumb/internal/atomicfile"
	"rhumb/sqlite"
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
		if err := readable(conf.Data); err != nil {
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

// readable tells why a state folder can't be backed up.
func readable(data string) error {
	f, err := os.Open(state.Folder(data).Key())
	if os.IsNotExist(err) {
		return rhumb.Errorf(rhumb.NotFound, "%s holds no state of rhumb's", data).WithHint("name the server's state folder with --data")
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "the state folder can't be read: %w", err).WithHint("run it as root, on the server's machine")
	}
	f.Close()
	return backup.Settled(data)
}

// backup writes a backup to a file, whole or not at all, or to the standard output.
func (a *app) backup(ctx context.Context, data, file string, to []age.Recipient) error {
	if file == "-" {
		if view.Terminal(a.stdout) {
			return rhumb.Errorf(rhumb.Invalid, "a backup is not for a terminal").WithHint("name a file, or redirect the output")
		}
		_, err := backup.Write(ctx, a.stdout, stateOf(data), to...)
		return err
	}
	info, err := backUp(ctx, data, file, to...)
	if err != nil {
		return err
	}
	return &outcome{words: fmt.Sprintf("backed up: %d files, %s, in %s; volumes are not in it", info.Files, view.Bytes(info.Bytes), file)}
}

// backUp writes a backup to a file.
func backUp(ctx context.Context, data, file string, to ...age.Recipient) (info backup.Info, err error) {
	err = atomicfile.Fill(file, 0o600, func(w io.Writer) error {
		info, err = backup.Write(ctx, w, stateOf(data), to...)
		return err
	})
	if err != nil && rhumb.ErrorCode(err) == rhumb.Internal {
		err = rhumb.Errorf(rhumb.Denied, "the backup can't be written: %w", err)
	}
	return info, err
}

// stateOf describes the state folder.
func stateOf(data string) backup.Source {
	host, _ := os.Hostname() // it only helps to tell backups apart
	return backup.Source{
		Folder:   data,
		Info:     backup.Info{Version: version, Schema: sqlite.Schema(), Host: host, Made: time.Now().UTC().Truncate(time.Second)},
		Database: func(ctx context.Context) ([]byte, error) { return sqlite.Copy(ctx, state.Folder(data).Database()) },
	}
}
