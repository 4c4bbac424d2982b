package machine

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/server"
)

func serverCommand(a *cli.App) *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.Command("server [flags]", "Run the daemon", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := server.FromEnvironment(cmd.Flags(), "RHUMB_"); err != nil {
			return err
		}
		if err := conf.Validate(); err != nil {
			return err
		}
		return server.Serve(ctx, conf, a.Version, newLog(a.Stderr, conf.LogFormat))
	})
	cmd.Long = "Run the daemon. Each flag can also be set as a variable: --docker-host as RHUMB_DOCKER_HOST."
	conf.Flags(cmd.Flags())
	cmd.Flags().StringVar(&conf.Proxy, "proxy", conf.Proxy,
		"use this `PROXY`: own (the server keeps it running) or external (another service does)")
	return cmd
}

// newLog returns the log of a server or proxy. It also takes what libraries write to the standard loggers.
func newLog(w io.Writer, format string) *slog.Logger {
	var h slog.Handler = slog.NewTextHandler(w, nil)
	if format == "json" {
		h = slog.NewJSONHandler(w, nil)
	}
	l := slog.New(h)
	slog.SetDefault(l)
	log.SetFlags(0)
	log.SetOutput(libraryLog{l})
	return l
}

// libraryLog logs messages of libraries up to the first quotation mark. Quoted text came over a connection and may be a
// secret.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(string(line), `"`)
	l.log.Info("library message", "text", strings.TrimSpace(text))
	return len(line), nil
}
