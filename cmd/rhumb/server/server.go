// Package server is the daemon as a process. It wires its parts, and keeps the proxy and the process that keeps logs
// running.
package server

import (
	"context"
	"io"
	"log/slog"
	"os"

	"rhumb"
	"rhumb/build"
	"rhumb/certs"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/cmd/rhumb/state"
	"rhumb/control"
	"rhumb/engine/docker"
	"rhumb/httpapi"
	"rhumb/internal/sdnotify"
	"rhumb/internal/seal"
	"rhumb/internal/together"
	"rhumb/proxy"
)

// Lines are what takes lines that are kept with those of the containers. nil: they aren't.
type Lines struct {
	Events io.Writer // the stacks' events
	Hooks  io.Writer // what hooks inside replicas write
}

// Serve runs a server of that version until ctx ends.
func Serve(ctx context.Context, conf Config, version string, lines Lines, log *slog.Logger) error {
	unlock, err := conf.folder().Claim()
	if err != nil {
		return err
	}
	defer unlock()
	store, err := conf.folder().Store()
	if err != nil {
		return err
	}
	defer closeStore(store, log) // after control and the API, which use it
	kept, router := link.Dial(state.KeptIn(conf.folder()).Socket()), proxy.Dial(conf.folder().ProxySocket())
	box, engine, err := openEngine(conf, docker.Options{Drain: drainOf(conf, kept, log),
		HookLine: hookLines(lines.Hooks), Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }()
	ln, err := listenUnix(conf.Socket)
	if err != nil {
		return err
	}
	defer os.Remove(conf.Socket)
	defer ln.Close()
	keeper := proxyKeeper(conf, router, log)
	if err := keeper.ensure(ctx); err != nil {
		return err
	}
	asked := newObserving(conf, kept, log)
	c, b, err := assemble(conf, engine, box, control.Deps{Engine: engine, Images: engine, Version: version, Log: log,
		Store: withLines(store, lines.Events), Router: router, Observe: asked.record})
	if err != nil {
		return err
	}
	desk := newBanDesk(proxy.DialBook(conf.folder().ProxySocket()), c, log)
	api := desk.handler(httpapi.New(services(conf, c, b, kept, desk.book), log))
	if err := sdnotify.Ready(); err != nil {
		log.Warn("systemd not notified", "err", err)
	}
	log.Info("server started", "version", version, "socket", conf.Socket, "data", conf.Data, "http", conf.HTTP)
	serve := func(ctx context.Context) error { return httpapi.Serve(ctx, ln, api, log) }
	err = together.Run(ctx, keeper.run, keepObserve(conf, kept, log), asked.run, desk.run, c.Hold, serve)
	log.Info("server stopped", "err", err)
	return err
}

func closeStore(store io.Closer, log *slog.Logger) {
	if err := store.Close(); err != nil {
		log.Error("store not closed", "err", err)
	}
}

// services are what this server offers. A new capability is one more line.
func services(conf Config, c *control.Control, b builder, kept *link.Link, book rhumb.BanBook) httpapi.Services {
	s := httpapi.Services{
		Deployer: c,
		Stacks:   c,
		History:  c,
		Traffic:  c,
		Insides:  c,
		Values:   c,
		Builder:  b,
		Bans:     book,
	}
	if conf.Observe != "off" {
		s.Observer, s.Forwarding, s.Metrics, s.Alerts = kept, kept, kept, kept
		s.Explainer, s.Dashboard = kept, kept
	}
	return s
}

// openEngine opens the server's key, and its engine, which derives the names of contents from the key.
func openEngine(conf Config, o docker.Options) (*seal.Box, *docker.Engine, error) {
	box, err := conf.folder().Box()
	if err != nil {
		return nil, nil, err
	}
	o.Host, o.Key = conf.DockerHost, box.Key("names of contents")
	engine, err := docker.New(o)
	return box, engine, err
}

// assemble makes control and the builder, and removes the build contexts that a daemon which died left behind.
func assemble(conf Config, engine *docker.Engine, box *seal.Box, deps control.Deps) (*control.Control, builder, error) {
	entry, err := conf.Entry()
	if err != nil {
		return nil, builder{}, err
	}
	if deps.HTTPS, err = conf.TLS.entry(); err != nil {
		return nil, builder{}, err
	}
	if deps.ACME, err = conf.TLS.authority(); err != nil {
		return nil, builder{}, err
	}
	deps.Certificates = certs.OpenStore(conf.folder().Certificates(), box)
	deps.Key = box.Key("hashes of contents")
	deps.Entry, deps.Keep, deps.Data, deps.Sweep = entry, conf.KeepReleases, conf.Data, engine.SweepFiles
	b := build.New(engine.Client(), deps.Log)
	b.API, b.Dir = engine.APIVersion, conf.folder().Builds()
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return nil, builder{}, rhumb.Errorf(rhumb.Denied, "the folder of build contexts can't be made: %w", err)
	}
	deps.DiskLimit, deps.Usage, deps.Trim = conf.DiskLimit, engine.Usage, engine.TrimCache
	c := control.New(deps)
	return c, builder{b, c.Room, engine.MarkBuilt, deps.Log}, b.Sweep()
}
