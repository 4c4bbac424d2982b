package machine

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/proxyd"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/internal/linelog"
)

// proxyFlags holds the flags of "rhumb proxy".
type proxyFlags struct {
	conf            server.Config // only the settings that a proxy shares with its server
	state, socket   string
	succeed, orphan bool
}

func proxyCommand(a *cli.App) *cobra.Command {
	f := proxyFlags{conf: server.DefaultConfig()}
	var cmd *cobra.Command
	cmd = a.Command("proxy [flags]", "Run the data plane; the server starts it automatically", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if err := f.complete(cmd.Flags()); err != nil {
				return err
			}
			if f.succeed || f.orphan {
				return proxyd.Succeed(ctx, f.orphan, f.socket)
			}
			return serveProxy(ctx, a, f)
		})
	cmd.Long = "Run the data plane. It serves the last table that it received. If another proxy runs on the same\n" +
		"folder, it takes over its sockets."
	f.flags(cmd)
	return cmd
}

func (f *proxyFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.state, "state", state.Folder(f.conf.Data).Proxy(), "keep the last table in this `FOLDER`")
	fs.StringVar(&f.socket, "socket", "",
		"receive tables at this `SOCKET` (default: control.sock in the folder of --state)")
	fs.StringSliceVar(&f.conf.TrustedProxies, "trusted-proxies", nil,
		"believe X-Forwarded-* headers from these `NETWORKS`")
	fs.BoolVar(&f.conf.AcceptProxy, "accept-proxy-protocol", false,
		"expect the PROXY protocol from --trusted-proxies, where routes are served")
	f.conf.CrowdSecFlags(fs)
	fs.StringVar(&f.conf.DockerHost, "docker-host", f.conf.DockerHost,
		"watch for dead replicas at this engine: a local unix:// `SOCKET`")
	fs.StringVar(&f.conf.Observe, "observe", f.conf.Observe,
		"keep logs with this `PROCESS`, as the server does; off: write no lines for it")
	fs.StringVar(&f.conf.LogFormat, "log-format", f.conf.LogFormat, "log in this `FORMAT`: text or json")
	fs.BoolVar(&f.succeed, "succeed", false, "start a successor of the running proxy, and return once it serves")
	fs.BoolVar(&f.orphan, "orphan", false, "")
	if err := fs.MarkHidden("orphan"); err != nil {
		panic(err) // it was defined a line above
	}
}

// complete fills in settings that are not on the command line from the environment.
func (f *proxyFlags) complete(fs *pflag.FlagSet) error {
	// The proxy shares all settings with the server, except its own folder and socket.
	err := errors.Join(server.FromEnvironment(fs, "RHUMB_PROXY_"), server.FromEnvironment(fs, "RHUMB_", "state", "socket"))
	if err != nil {
		return err
	}
	if data := os.Getenv("RHUMB_DATA"); data != "" && !fs.Changed("state") {
		f.state = state.Folder(data).Proxy()
	}
	if f.socket == "" {
		f.socket = state.SocketOf(f.state)
	}
	return nil
}

// serveProxy runs the proxy until ctx ends or a successor serves.
func serveProxy(ctx context.Context, a *cli.App, f proxyFlags) error {
	trusted, err := server.Networks(f.conf.TrustedProxies)
	if err != nil {
		return err
	}
	o := proxyd.Options{State: f.state, Socket: f.socket, TrustedProxies: trusted, DockerHost: f.conf.DockerHost,
		AcceptProxy: f.conf.AcceptProxy, Version: a.Version, CrowdSec: f.conf.CrowdSec}
	if f.conf.Observe == "off" {
		o.Log = newLog(a.Stderr, f.conf.LogFormat, nil)
		return proxyd.Run(ctx, o)
	}
	folder := state.LinesIn(state.OfProxy(f.state))
	lines, access := linelog.New(folder.Proxy(), linelog.Options{}), linelog.New(folder.Access(), linelog.Options{})
	o.Access, o.Log = access, newLog(a.Stderr, f.conf.LogFormat, lines)
	defer writeLines(o.Log, lines, access)()
	return proxyd.Run(ctx, o)
}
