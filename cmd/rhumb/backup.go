package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
)

func (a *app) backupCommand() *cobra.Command {
	var s sealed
	cmd := a.sealedCommand("backup [flags] FILE|-", "Write the server's state into one sealed file", "replace an existing FILE", &s,
		func(ctx context.Context, file string) error { return a.backup(ctx, &s, file) })
	cmd.Long = "Write releases, secrets, certificates and the key that opens them into one file. The file is sealed to age recipients, or\n" +
		"with a passphrase from --passphrase-file, RHUMB_BACKUP_PASSPHRASE or the terminal. It does not contain volumes. Run it on\n" +
		"the server's own machine, as root. The server may keep running."
	cmd.Flags().StringArrayVar(&s.given.Recipients, "recipient", nil, "seal the backup to this age `RECIPIENT` (age1...); repeatable")
	return cmd
}

// backup writes a backup to a file, completely or not at all, or to the standard output.
func (a *app) backup(ctx context.Context, s *sealed, file string) error {
	folder := s.folder()
	if err := folder.Readable(); err != nil {
		return err
	}
	if _, err := os.Lstat(file); err == nil && !s.force && file != "-" {
		return rhumb.Errorf(rhumb.Conflict, "%s already exists", file).WithHint("choose another name, or pass --force")
	}
	to, err := s.given.ToSeal(ctx)
	if err != nil {
		return err
	}
	if file == "-" {
		if terminal.Is(a.stdout) {
			return rhumb.Errorf(rhumb.Invalid, "the backup can't be written to a terminal").WithHint("name a file, or redirect the output")
		}
		_, err := backup.Write(ctx, a.rawOut, folder.Source(version), to...)
		return err
	}
	info, err := folder.BackUp(ctx, file, version, to...)
	if err != nil {
		return err
	}
	return &outcome{words: fmt.Sprintf("backed up: %d files, %s, in %s; volumes are not in it", info.Files, view.Bytes(info.Bytes), file)}
}
