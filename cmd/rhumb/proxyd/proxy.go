// Package proxyd is the process that owns the ports: a proxy wired with its certificates, service addresses and the
// engine's events, and its succession.
package proxyd

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/netip"
	"os"

	"rhumb"
	"rhumb/certs"
	"rhumb/cmd/rhumb/state"
	"rhumb/engine/docker"
	"rhumb/internal/sdnotify"
	"rhumb/internal/textpages"
	"rhumb/internal/together"
	"rhumb/proxy"
	"rhumb/vip"
	"rhumb/waf"
)

// Options configures a proxy process.
type Options struct {
	State          string // the folder of its last table, inside the state folder of its server
	Socket         string // where the server sends it tables
	TrustedProxies []netip.Prefix
	AcceptProxy    bool   // they begin connections to the entries with a header of the PROXY protocol
	DockerHost     string // the engine that reports the deaths of replicas
	CrowdSec       proxy.CrowdSec
	Version        string
	Access         io.Writer // gets the access log; nil: there is none
	Log            *slog.Logger
}

// Run serves the last table, and those that the server sends, until ctx ends or a successor serves.
func Run(ctx context.Context, o Options) error {
	if err := os.MkdirAll(o.State, 0o700); err != nil {
		return rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err)
	}
	folder := state.OfProxy(o.State)
	key := &lateKey{path: folder.Key()}
	keeper := newCertKeeper(folder, key, o.Log)
	lives, done, err := livesOf(o.DockerHost, o.Log)
	if err != nil {
		return err
	}
	defer done()
	instance := vip.InstanceOf(o.State)
	p, err := proxy.New(proxy.Options{State: o.State, Socket: o.Socket, TrustedProxies: o.TrustedProxies,
		Version: o.Version, Instance: instance, AcceptProxy: o.AcceptProxy, Firewall: instance, CrowdSec: o.CrowdSec,
		Limits: proxy.DefaultLimits(), Access: o.Access, Log: o.Log, Certificates: keeper, Lives: lives,
		RouteFiles: certs.RouteFiles(folder.Certificates(), key),
		WAF:        waf.New(waf.Options{Command: inspector, Log: o.Log}),
		Segments:   vip.New(vip.Options{Instance: instance, Log: o.Log})})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return together.Run(ctx, keeper.Run, func(ctx context.Context) error {
		defer stop() // a proxy that has a successor ends, and the keeper with it
		return runProxy(ctx, p, o.Log)
	}, func(ctx context.Context) error { return notifyServing(ctx, p.Serving(), o.Log) })
}

// Forgetting returns what removes from the machine's kernel what the proxies of a folder leave there when they end.
// They must have ended.
func Forgetting(state string) func() error {
	instance := vip.InstanceOf(state)
	return func() error { return proxy.Forget(instance) }
}

// livesOf returns the deaths and starts that the engine reports. The engine needn't run yet.
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

// runProxy runs the proxy. A proxy that has a successor names it to systemd before it ends. Otherwise systemd would
// take its end for the service's.
func runProxy(ctx context.Context, p *proxy.Proxy, log *slog.Logger) error {
	err := p.Run(ctx)
	if pid := p.Successor(); pid != 0 {
		if err := sdnotify.Succeeded(pid); err != nil {
			log.Warn("systemd not notified", "err", err)
		}
	}
	return err
}

// notifyServing notifies systemd once the proxy serves. The proxy is then the service's main process. What only its
// start has used, it needs no more.
func notifyServing(ctx context.Context, serving <-chan struct{}, log *slog.Logger) error {
	select {
	case <-serving:
		if err := sdnotify.Ready(); err != nil {
			log.Warn("systemd not notified", "err", err) // the proxy serves all the same
		}
		if err := textpages.Drop(); err != nil {
			log.Warn("pages of the start not dropped", "err", err)
		}
	case <-ctx.Done():
	}
	return nil
}
