package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rhumb"
	"rhumb/cmd/rhumb/server"
)

func (a *app) serverCommand() *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.command("server [flags]", "Run the daemon", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := fromEnvironment(cmd, "RHUMB_"); err != nil {
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

func newLog(w io.Writer, format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// fromEnvironment fills in the flags that are not given from variables: with the prefix "RHUMB_", --docker-host from RHUMB_DOCKER_HOST.
// Some flags may be excepted.
func fromEnvironment(cmd *cobra.Command, prefix string, except ...string) error {
	var bad error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(except, f.Name) {
			return
		}
		name := variable(prefix, f.Name)
		v, ok := os.LookupEnv(name)
		if !ok || f.Changed || bad != nil {
			return
		}
		if err := cmd.Flags().Set(f.Name, v); err != nil {
			bad = rhumb.Errorf(rhumb.Invalid, "%s=%s: %v", name, v, err)
		}
	})
	return bad
}
