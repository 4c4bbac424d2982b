package machine

import (
	"context"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/internal/linelog"
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
		return serve(ctx, a, conf)
	})
	cmd.Long = "Run the daemon. Each flag can also be set as a variable: --docker-host as RHUMB_DOCKER_HOST."
	conf.Flags(cmd.Flags())
	cmd.Flags().StringVar(&conf.Proxy, "proxy", conf.Proxy,
		"use this `PROXY`: own (the server keeps it running) or external (another service does)")
	return cmd
}

// serve runs the daemon. Its log, the stacks' events and the lines of hooks are also written to
// files, if logs are kept.
func serve(ctx context.Context, a *cli.App, conf server.Config) error {
	if conf.Observe == "off" {
		return server.Serve(ctx, conf, a.Version, server.Lines{}, newLog(a.Stderr, conf.LogFormat, nil))
	}
	folder := state.LinesIn(state.Folder(conf.Data))
	lines := linelog.New(folder.Daemon(), linelog.Options{})
	events, hooks := linelog.New(folder.Events(), linelog.Options{}), linelog.New(folder.Hooks(), linelog.Options{})
	log := newLog(a.Stderr, conf.LogFormat, lines)
	defer writeLines(log, lines, events, hooks)()
	return server.Serve(ctx, conf, a.Version, server.Lines{Events: events, Hooks: hooks}, log)
}

// writeLines writes to files of lines until done is called.
func writeLines(log *slog.Logger, files ...*linelog.File) (done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for _, f := range files {
		work.Go(func() { f.Run(ctx, log) })
	}
	return func() {
		cancel()
		work.Wait()
	}
}

// newLog returns the log of a process, which is also written to a file of lines unless that is nil. It also takes what
// libraries write to the standard loggers.
func newLog(w io.Writer, format string, lines *linelog.File) *slog.Logger {
	var h slog.Handler = slog.NewTextHandler(w, nil)
	if format == "json" {
		h = slog.NewJSONHandler(w, nil)
	}
	if lines != nil {
		h = slog.NewMultiHandler(h, slog.NewJSONHandler(lines, nil))
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
