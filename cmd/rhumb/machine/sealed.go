package machine

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/keys"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/install"
)

// sealed holds the flags that backup and restore share.
type sealed struct {
	data  string // the state folder
	given keys.Given
	force bool
}

func (s *sealed) folder() state.Folder { return state.Folder(s.data) }

// sealedCommand makes a command that writes or reads a backup of the state folder. force is the help of --force.
func sealedCommand(a *cli.App, use, short, force string, s *sealed,
	do func(ctx context.Context, file string) error) *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.Command(use, short, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if err := conf.Installed(install.Machine{}, cmd.Flags()); err != nil {
			return err
		}
		s.data, s.given.User = conf.Data, a.User()
		return do(ctx, args[0])
	})
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "use this state `FOLDER`")
	cmd.Flags().StringVar(&s.given.PassphraseFile, "passphrase-file", "",
		"read the passphrase from the first line of this `FILE`")
	cmd.Flags().BoolVar(&s.force, "force", false, force)
	return cmd
}
