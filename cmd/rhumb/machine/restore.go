package machine

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
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/state"
)

func restoreCommand(a *cli.App) *cobra.Command {
	var s sealed
	cmd := sealedCommand(a, "restore [flags] FILE", "Restore the server's state from a backup",
		"replace existing state, which is set aside", &s,
		func(ctx context.Context, file string) error { return restore(ctx, a, &s, file) })
	cmd.Long = "Restore releases, secrets, certificates and their key into the state folder of a server that is\n" +
		"stopped. The backup is verified to its end before anything changes. Existing state is replaced\n" +
		"only with --force. It is set aside, not deleted."
	cmd.Flags().StringVar(&s.given.Identities, "identity", "", "open the backup with the age identities in this `FILE`")
	return cmd
}

// restore restores a backup if this version of rhumb knows its database.
func restore(ctx context.Context, a *cli.App, s *sealed, file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return rhumb.Errorf(rhumb.Invalid, "%s: there is no such file", file)
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Denied, "%s: can't be read: %w", file, err)
	}
	defer f.Close()
	folder := s.folder()
	unlock, err := folder.ToRestore(ctx, s.force)
	if err != nil {
		return err
	}
	defer unlock()
	with, err := s.given.ToOpen(ctx, folder)
	if err != nil {
		return err
	}
	info, aside, err := backup.Restore(f, string(folder), state.KnowsSchema, with...)
	if err != nil {
		return err
	}
	words := fmt.Sprintf("restored: the state of %s, %s, by rhumb %s",
		info.Host, info.Made.Local().Format(time.DateTime), info.Version)
	if aside != "" {
		words += "\nthe previous state is in " + aside
	}
	words += "\nnow start the server: systemctl start rhumb\n" +
		"it finds running replicas and starts the others if their images are here or can be pulled\n" +
		"volumes are not in a backup: restore them separately"
	return &cli.Outcome{Words: words}
}
