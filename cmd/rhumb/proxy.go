package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/engine/docker"
	"rhumb/internal/sdnotify"
	"rhumb/proxy"
	"rhumb/vip"
)

func (a *app) proxyCommand() *cobra.Command {
	conf := defaultServerConfig()
	state, socket := conf.proxyState(), ""
	var succeed, orphan bool
	var cmd *cobra.Command
	cmd = a.command("proxy [flags]", "Run the data plane; the server starts it by itself", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		err := errors.Join(fromEnvironment(cmd, "RHUMB_PROXY_"), fromEnvironment(cmd, "RHUMB_", "state", "socket")) // what isn't its own it shares with the server
		if err != nil {
			return err
		}
		if data := os.Getenv("RHUMB_DATA"); data != "" && !cmd.Flags().Changed("state") {
			conf.Data = data
			state = conf.proxyState()
		}
		if succeed || orphan {
			return a.startSuccessor(ctx, orphan, socketOf(state, socket))
		}
		trusted, err := prefixes(conf.TrustedProxies)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(state, 0o700); err != nil {
			return rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err)
		}
		log := newLog(a.stderr, conf.LogFormat)
		keeper := newCertKeeper(state, log)
		lives, done, err := livesOf(conf.DockerHost, log)
		if err != nil {
			return err
		}
		defer done()
		p, err := proxy.New(proxy.Options{State: state, Socket: socketOf(state, socket), TrustedProxies: trusted, Version: version,
			Limits: proxy.DefaultLimits(), Log: log, Certificates: keeper, Lives: lives, Segments: vip.New(vip.Options{Instance: vip.InstanceOf(state), Log: log})})
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		return together(ctx, keeper.Run, func(ctx context.Context) error {
			defer stop() // one that was succeeded ends, and all of it
			return runProxy(ctx, p, log)
		}, func(ctx context.Context) error { return tellServing(ctx, p.Serving(), log) })
	})
	cmd.Long = "Run the data plane. It serves the last table that it was given, and takes the sockets over from a proxy that runs on the same folder."
	fs := cmd.Flags()
	fs.StringVar(&state, "state", state, "the folder of its last table")
	fs.StringVar(&socket, "socket", "", "where the server tells it what to serve (default: control.sock in the state folder)")
	fs.StringSliceVar(&conf.TrustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded-* headers are believed")
	fs.StringVar(&conf.DockerHost, "docker-host", conf.DockerHost, "the engine that tells which replicas die: a local unix:// socket")
	fs.StringVar(&conf.LogFormat, "log-format", conf.LogFormat, "text or json")
	fs.BoolVar(&succeed, "succeed", false, "start a successor of the proxy that runs, and return once it serves")
	fs.BoolVar(&orphan, "orphan", false, "")
	if err := fs.MarkHidden("orphan"); err != nil {
		panic(err) // it was defined a line above
	}
	return cmd
}

// livesOf has the engine tell which replicas die. It needn't be there.
func livesOf(host string, log *slog.Logger) (lives proxy.Lives, done func(), err error) {
	engine, err := docker.New(docker.Options{Host: host, Log: log})
	if err != nil {
		return nil, nil, err
	}
	lives = func(ctx context.Context) iter.Seq2[proxy.Life, error] {
		return func(yield func(proxy.Life, error) bool) {
			for l, err := range engine.Lives(ctx) {
				if !yield(proxy.Life(l), err) {
					return
				}
			}
		}
	}
	return lives, func() { _ = engine.Close() }, nil
}

func socketOf(state, socket string) string {
	if socket == "" {
		return filepath.Join(state, "control.sock")
	}
	return socket
}

// runProxy runs the proxy. One that was succeeded tells systemd by whom before it ends: its end would else be taken for the service's.
func runProxy(ctx context.Context, p *proxy.Proxy, log *slog.Logger) error {
	err := p.Run(ctx)
	if pid := p.Successor(); pid != 0 {
		if err := sdnotify.Succeeded(pid); err != nil {
			log.Warn("systemd not told", "err", err)
		}
	}
	return err
}

// tellServing tells systemd once the proxy serves: then it is the service's main process, whoever was it before.
func tellServing(ctx context.Context, serving <-chan struct{}, log *slog.Logger) error {
	select {
	case <-serving:
		if err := sdnotify.Ready(); err != nil {
			log.Warn("systemd not told", "err", err) // it goes on serving
		}
	case <-ctx.Done():
	}
	return nil
}
