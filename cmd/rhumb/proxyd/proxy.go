// Package proxyd is the process that owns the ports: the proxy, with its certificates, addresses and news of deaths wired, and its succession.
package proxyd

import (
	"context"
	"iter"
	"log/slog"
	"net/netip"
	"os"

	"rhumb"
	"rhumb/cmd/rhumb/state"
	"rhumb/engine/docker"
	"rhumb/internal/sdnotify"
	"rhumb/internal/together"
	"rhumb/proxy"
	"rhumb/vip"
)

// Options are what a proxy process is told.
type Options struct {
	State          string // the folder of its last table, inside the state folder of its server
	Socket         string // where the server tells it what to serve
	TrustedProxies []netip.Prefix
	DockerHost     string // the engine that tells which replicas die
	Version        string
	Log            *slog.Logger
}

// Run serves the last table, and what it is told from then on, until ctx ends or a successor serves.
func Run(ctx context.Context, o Options) error {
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err)
	}
	keeper := newCertKeeper(state.OfProxy(o.State), o.Log)
	lives, done, err := livesOf(o.DockerHost, o.Log)
	if err != nil {
		return err
	}
	defer done()
	p, err := proxy.New(proxy.Options{State: o.State, Socket: o.Socket, TrustedProxies: o.TrustedProxies, Version: o.Version,
		Limits: proxy.DefaultLimits(), Log: o.Log, Certificates: keeper, Lives: lives, Segments: vip.New(vip.Options{Instance: vip.InstanceOf(o.State), Log: o.Log})})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return together.Run(ctx, keeper.Run, func(ctx context.Context) error {
		defer stop() // one that was succeeded ends, and all of it
		return runProxy(ctx, p, o.Log)
	}, func(ctx context.Context) error { return tellServing(ctx, p.Serving(), o.Log) })
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
