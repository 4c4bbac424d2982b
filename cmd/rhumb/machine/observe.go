package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/observed"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
)

// observeFlags holds the flags of "rhumb observe".
type observeFlags struct {
	conf          server.Config // only the settings that the process shares with its server
	state, socket string
}

func observeCommand(a *cli.App) *cobra.Command {
	f := observeFlags{conf: server.DefaultConfig()}
	var cmd *cobra.Command
	cmd = a.Command("observe [flags]", "Keep the logs of all replicas; the server starts it automatically", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if err := f.complete(cmd.Flags()); err != nil {
				return err
			}
			urls, err := f.conf.Forward.Destinations()
			if err != nil {
				return err
			}
			log := newLog(a.Stderr, f.conf.LogFormat, nil)
			if f.conf.Forward.Exposed() {
				log.Warn("all users can read the file of log destinations, chmod 600 it", "file", f.conf.Forward.File)
			}
			return observed.Run(ctx, observed.Options{State: f.state, Socket: f.socket,
				Lines: state.LinesIn(state.Folder(f.conf.Data)), DockerHost: f.conf.DockerHost,
				Forward: urls, Version: a.Version, Log: log})
		})
	cmd.Long = "Keep the logs of all replicas, also of those that are gone, for \"rhumb logs\". The server, the proxy\n" +
		"and the stacks run the same with and without it."
	f.flags(cmd.Flags())
	return cmd
}

func (f *observeFlags) flags(fs *pflag.FlagSet) {
	fs.StringVar(&f.state, "state", string(state.KeptIn(state.Folder(f.conf.Data))), "keep logs in this `FOLDER`")
	fs.StringVar(&f.socket, "socket", "",
		"answer the server at this `SOCKET` (default: api.sock in the folder of --state)")
	fs.StringVar(&f.conf.DockerHost, "docker-host", f.conf.DockerHost,
		"collect from this engine: a local unix:// `SOCKET`")
	f.conf.Forward.Flags(fs)
	fs.StringVar(&f.conf.LogFormat, "log-format", f.conf.LogFormat, "log in this `FORMAT`: text or json")
}

// complete fills in settings that are not on the command line from the environment, and makes the paths absolute.
func (f *observeFlags) complete(fs *pflag.FlagSet) error {
	err := errors.Join(server.FromEnvironment(fs, "RHUMB_OBSERVE_"),
		server.FromEnvironment(fs, "RHUMB_", "state", "socket"))
	if err != nil {
		return err
	}
	data := os.Getenv("RHUMB_DATA")
	if data != "" && !fs.Changed("state") {
		f.state = string(state.KeptIn(state.Folder(data)))
	}
	if f.conf.Data = data; data == "" {
		f.conf.Data = filepath.Dir(f.state)
	}
	if f.socket == "" {
		f.socket = state.Kept(f.state).Socket()
	}
	for name, path := range map[string]*string{"--state": &f.state, "--socket": &f.socket, "RHUMB_DATA": &f.conf.Data} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return rhumb.Errorf(rhumb.Invalid, "%s %s: %w", name, *path, err)
		}
		*path = abs
	}
	return f.conf.Forward.Locate()
}
