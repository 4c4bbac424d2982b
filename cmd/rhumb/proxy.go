package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/proxy"
)

func (a *app) proxyCommand() *cobra.Command {
	conf := defaultServerConfig()
	state, socket := conf.proxyState(), ""
	var cmd *cobra.Command
	cmd = a.command("proxy [flags]", "Run the data plane; the server starts it by itself", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := fromEnvironment(cmd, "RHUMB_PROXY_"); err != nil {
			return err
		}
		trusted, err := prefixes(conf.TrustedProxies)
		if err != nil {
			return err
		}
		if socket == "" {
			socket = filepath.Join(state, "control.sock")
		}
		if err := os.MkdirAll(state, 0o700); err != nil {
			return rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err)
		}
		p, err := proxy.New(proxy.Options{State: state, Socket: socket, TrustedProxies: trusted, Limits: proxy.DefaultLimits(), Log: newLog(a.stderr, conf.LogFormat)})
		if err != nil {
			return err
		}
		return p.Run(ctx)
	})
	cmd.Long = "Run the data plane. It serves the last table that it was given, and takes the sockets over from a proxy that runs on the same folder."
	fs := cmd.Flags()
	fs.StringVar(&state, "state", state, "the folder of its last table")
	fs.StringVar(&socket, "socket", "", "where the server tells it what to serve (default: control.sock in the state folder)")
	fs.StringSliceVar(&conf.TrustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded-* headers are believed")
	fs.StringVar(&conf.LogFormat, "log-format", conf.LogFormat, "text or json")
	return cmd
}
