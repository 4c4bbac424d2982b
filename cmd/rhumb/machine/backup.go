package machine

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/backup"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
)

func backupCommand(a *cli.App) *cobra.Command {
	var s sealed
	cmd := sealedCommand(a, "backup [flags] FILE|-", "Write the server's state into one sealed file",
		"replace an existing FILE", &s,
		func(ctx context.Context, file string) error { return backUp(ctx, a, &s, file) })
	cmd.Long = "Write releases, secrets, certificates and the key that opens them into one file. The file is\n" +
		"sealed to age recipients, or with a passphrase from --passphrase-file, RHUMB_BACKUP_PASSPHRASE or\n" +
		"the terminal. It does not contain volumes. Run it on the server's own machine, as root. The server\n" +
		"may keep running."
	cmd.Flags().StringArrayVar(&s.given.Recipients, "recipient", nil,
		"seal the backup to this age `RECIPIENT` (age1...); repeatable")
	return cmd
}

// backUp writes a backup to a file, completely or not at all, or to the standard output.
func backUp(ctx context.Context, a *cli.App, s *sealed, file string) error {
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
		if terminal.Is(a.Stdout) {
			return rhumb.Errorf(rhumb.Invalid, "the backup can't be written to a terminal").
				WithHint("name a file, or redirect the output")
		}
		_, err := backup.Write(ctx, a.RawOut, folder.Source(a.Version), to...)
		return err
	}
	info, err := folder.BackUp(ctx, file, a.Version, to...)
	if err != nil {
		return err
	}
	return &cli.Outcome{Words: fmt.Sprintf("backed up: %d files, %s, in %s; volumes are not in it",
		info.Files, view.Bytes(info.Bytes), file)}
}
