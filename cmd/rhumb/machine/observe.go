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
	const short = "Keep logs and metrics, and serve the dashboard; the server starts it automatically"
	cmd = a.Command("observe [flags]", short, cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if err := f.complete(cmd.Flags()); err != nil {
				return err
			}
			o, err := f.options(a)
			if err != nil {
				return err
			}
			return observed.Run(ctx, o)
		})
	cmd.Long = "Keep the logs of all replicas, also of those that are gone, measure the machine and the stacks,\n" +
		"evaluate the rules of alerts, and serve the dashboard. The server, the proxy and the stacks run the\n" +
		"same with and without it."
	f.flags(cmd.Flags())
	return cmd
}

// options returns the options of the process.
func (f *observeFlags) options(a *cli.App) (observed.Options, error) {
	c := &f.conf.Observer
	o := observed.Options{State: f.state, Socket: f.socket, Data: state.Folder(f.conf.Data), Server: f.conf.Socket,
		DockerHost: f.conf.DockerHost, Metrics: c.Metrics, Dashboard: c.Dashboard, Hosts: c.Hosts, Keep: c.Keep(),
		Size: int64(c.Size) << 20, Version: a.Version, Log: newLog(a.Stderr, f.conf.LogFormat, nil)}
	if err := c.Validate(); err != nil {
		return o, err
	}
	var err error
	if o.Forward, err = c.Forward.All(); err != nil {
		return o, err
	}
	for _, file := range c.Exposed() {
		o.Log.Warn("all users can read a file of URLs, chmod 600 it", "file", file)
	}
	o.AlertTo, err = c.AlertTo.All()
	return o, err
}

func (f *observeFlags) flags(fs *pflag.FlagSet) {
	fs.StringVar(&f.state, "state", string(state.KeptIn(state.Folder(f.conf.Data))), "keep logs in this `FOLDER`")
	fs.StringVar(&f.socket, "socket", "",
		"answer the server at this `SOCKET` (default: api.sock in the folder of --state)")
	fs.StringVar(&f.conf.DockerHost, "docker-host", f.conf.DockerHost,
		"collect from this engine: a local unix:// `SOCKET`")
	fs.StringVar(&f.conf.Socket, "server", f.conf.Socket, "ask the server about the stacks at this `SOCKET`")
	f.conf.Observer.Flags(fs)
	fs.StringVar(&f.conf.LogFormat, "log-format", f.conf.LogFormat, "log in this `FORMAT`: text or json")
}

// complete fills in settings that are not on the command line from the environment, and makes the paths absolute.
func (f *observeFlags) complete(fs *pflag.FlagSet) error {
	err := errors.Join(server.FromEnvironment(fs, "RHUMB_OBSERVE_"),
		server.FromEnvironment(fs, "RHUMB_", "state", "socket"))
	if err != nil {
		return err
	}
	if socket := os.Getenv("RHUMB_SOCKET"); socket != "" && !fs.Changed("server") {
		f.conf.Socket = socket
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
	for name, path := range map[string]*string{"--state": &f.state, "--socket": &f.socket, "RHUMB_DATA": &f.conf.Data,
		"--server": &f.conf.Socket} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return rhumb.Errorf(rhumb.Invalid, "%s %s: %w", name, *path, err)
		}
		*path = abs
	}
	return f.conf.Observer.Locate()
}
