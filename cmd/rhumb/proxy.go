package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb/cmd/rhumb/proxyd"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
)

// proxyFlags are what "rhumb proxy" is told.
type proxyFlags struct {
	conf            server.Config // only what a proxy shares with its server
	state, socket   string
	succeed, orphan bool
}

func (a *app) proxyCommand() *cobra.Command {
	f := proxyFlags{conf: server.DefaultConfig()}
	var cmd *cobra.Command
	cmd = a.command("proxy [flags]", "Run the data plane; the server starts it by itself", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := f.complete(cmd.Flags()); err != nil {
			return err
		}
		if f.succeed || f.orphan {
			return proxyd.Succeed(ctx, f.orphan, f.socket)
		}
		return a.proxy(ctx, f)
	})
	cmd.Long = "Run the data plane. It serves the last table that it was given, and takes the sockets over from a proxy that runs on the same folder."
	f.flags(cmd)
	return cmd
}

func (f *proxyFlags) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.state, "state", state.Folder(f.conf.Data).Proxy(), "the folder of its last table")
	fs.StringVar(&f.socket, "socket", "", "where the server tells it what to serve (default: control.sock in the state folder)")
	fs.StringSliceVar(&f.conf.TrustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded-* headers are believed")
	fs.StringVar(&f.conf.DockerHost, "docker-host", f.conf.DockerHost, "the engine that tells which replicas die: a local unix:// socket")
	fs.StringVar(&f.conf.LogFormat, "log-format", f.conf.LogFormat, "text or json")
	fs.BoolVar(&f.succeed, "succeed", false, "start a successor of the proxy that runs, and return once it serves")
	fs.BoolVar(&f.orphan, "orphan", false, "")
	if err := fs.MarkHidden("orphan"); err != nil {
		panic(err) // it was defined a line above
	}
}

// complete fills in what the command line leaves open.
func (f *proxyFlags) complete(fs *pflag.FlagSet) error {
	err := errors.Join(server.FromEnvironment(fs, "RHUMB_PROXY_"), server.FromEnvironment(fs, "RHUMB_", "state", "socket")) // what isn't its own it shares with the server
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

// proxy runs the proxy until ctx ends or a successor serves.
func (a *app) proxy(ctx context.Context, f proxyFlags) error {
	trusted, err := server.Networks(f.conf.TrustedProxies)
	if err != nil {
		return err
	}
	return proxyd.Run(ctx, proxyd.Options{State: f.state, Socket: f.socket, TrustedProxies: trusted, DockerHost: f.conf.DockerHost,
		Version: version, Log: newLog(a.stderr, f.conf.LogFormat)})
}
