package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/server"
)

func (a *app) serverCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.command("server [flags]", "Run the daemon", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := server.FromEnvironment(cmd.Flags(), "RHUMB_"); err != nil {
			return err
		}
		if err := conf.Validate(); err != nil {
			return err
		}
		return server.Serve(ctx, conf, version, newLog(a.stderr, conf.LogFormat))
	})
	cmd.Long = "Run the daemon. Each flag may also be given as a variable: --docker-host as RHUMB_DOCKER_HOST."
	conf.Flags(cmd.Flags())
	cmd.Flags().StringVar(&conf.Proxy, "proxy", conf.Proxy, "own: start it and look after it; external: another service does")
	return cmd
}

// newLog makes the log of a server or proxy, which also gets what libraries write with the standard library's logger.
func newLog(w io.Writer, format string) *slog.Logger {
	var h slog.Handler = slog.NewTextHandler(w, nil)
	if format == "json" {
		h = slog.NewJSONHandler(w, nil)
	}
	log := slog.New(h)
	slog.SetDefault(log)
	return log
}
