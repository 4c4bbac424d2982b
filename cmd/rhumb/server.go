package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/backup"
	"rhumb/build"
	"rhumb/certs"
	"rhumb/control"
	"rhumb/engine/docker"
	"rhumb/httpapi"
	"rhumb/httpapi/client"
	"rhumb/internal/sdnotify"
	"rhumb/internal/seal"
	"rhumb/proxy"
	"rhumb/sqlite"
)

// serverConfig is what a daemon is told. defaultServerConfig gives the usual one.
type serverConfig struct {
	Data           string   // the state folder
	Socket         string   // where the API answers
	HTTP           string   // the entry: the address where routes by host and path are served
	DockerHost     string   // the engine: "unix:///path"
	KeepReleases   int      // per stack
	DiskLimit      int      // percent at which a disk is too full for anything new; 100: none is
	TrustedProxies []string // networks whose X-Forwarded-* are believed
	LogFormat      string   // "text" or "json"
	TLS            tlsConfig
	Proxy          string // "own": the server starts it and looks after it; "external": another service does
}

func defaultServerConfig() serverConfig {
	return serverConfig{
		Data: "/var/lib/rhumb", Socket: strings.TrimPrefix(client.DefaultHost, "unix://"), HTTP: ":80",
		DockerHost: "unix:///var/run/docker.sock", KeepReleases: 10, DiskLimit: 90, LogFormat: "text", Proxy: "own", TLS: defaultTLSConfig(),
	}
}

// validate makes the folders absolute and refuses what can't work.
func (c *serverConfig) validate() error {
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--data %s: %w", c.Data, err)
	}
	if c.Socket, err = filepath.Abs(c.Socket); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "--socket %s: %w", c.Socket, err)
	}
	for _, path := range []string{c.Socket, c.proxySocket()} {
		if len(path) > maxSocketPath {
			return rhumb.Errorf(rhumb.Invalid, "the path %s is too long for a socket", path).WithHint("sockets have paths of at most %d characters", maxSocketPath)
		}
	}
	entry, err := c.entry()
	if err != nil {
		return err
	}
	if err := c.TLS.validate(entry); err != nil {
		return err
	}
	if c.KeepReleases < 1 {
		return rhumb.Errorf(rhumb.Invalid, "--keep-releases %d: at least the one that serves is kept", c.KeepReleases)
	}
	if c.DiskLimit < 1 || c.DiskLimit > 100 {
		return rhumb.Errorf(rhumb.Invalid, "--disk-limit %d is not a percentage", c.DiskLimit).WithHint("from 1 to 100; 100 turns it off")
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		return rhumb.Errorf(rhumb.Invalid, "there is no log format %q", c.LogFormat).WithHint("--log-format is text or json")
	}
	if c.Proxy != "own" && c.Proxy != "external" {
		return rhumb.Errorf(rhumb.Invalid, "the proxy can't be %q", c.Proxy).WithHint("--proxy is own or external")
	}
	_, err = prefixes(c.TrustedProxies)
	return err
}

// maxSocketPath is what the kernel allows, with room for a temporary name.
const maxSocketPath = 98

// entry reads the HTTP address. One without a host is all addresses, IPv4 and IPv6.
func (c *serverConfig) entry() (netip.AddrPort, error) {
	return entryAddress("--http", c.HTTP, ":80 or 192.0.2.1:80")
}

func (c *serverConfig) proxyState() string  { return filepath.Join(c.Data, "proxy") }
func (c *serverConfig) proxySocket() string { return filepath.Join(c.proxyState(), "control.sock") }

// prefixes reads networks; a bare address is a network of one.
func prefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		if addr, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "--trusted-proxies: %q is not a network", s).WithHint("write 10.0.0.0/8 or 192.0.2.1")
		}
		out = append(out, p)
	}
	return out, nil
}

func (a *app) serverCommand() *cobra.Command {
	conf := defaultServerConfig()
	var cmd *cobra.Command
	cmd = a.command("server [flags]", "Run the daemon", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if err := fromEnvironment(cmd, "RHUMB_"); err != nil {
			return err
		}
		if err := conf.validate(); err != nil {
			return err
		}
		return a.serve(ctx, conf)
	})
	cmd.Long = "Run the daemon. Each flag may also be given as a variable: --docker-host as RHUMB_DOCKER_HOST."
	conf.flags(cmd.Flags())
	cmd.Flags().StringVar(&conf.Proxy, "proxy", conf.Proxy, "own: start it and look after it; external: another service does")
	return cmd
}

// flags are those that "rhumb install" takes too, and keeps.
func (c *serverConfig) flags(fs *pflag.FlagSet) {
	fs.StringVar(&c.Data, "data", c.Data, "the state folder")
	fs.StringVar(&c.Socket, "socket", c.Socket, "where the API answers")
	fs.StringVar(&c.HTTP, "http", c.HTTP, "where routes by host and path are served")
	c.TLS.flags(fs)
	fs.StringVar(&c.DockerHost, "docker-host", c.DockerHost, "the engine: a local unix:// socket")
	fs.IntVar(&c.KeepReleases, "keep-releases", c.KeepReleases, "how many releases of a stack are kept, with their images")
	fs.IntVar(&c.DiskLimit, "disk-limit", c.DiskLimit, "how full, in percent, a disk may be for deployments and builds to begin; 100: as full as can be")
	fs.StringSliceVar(&c.TrustedProxies, "trusted-proxies", nil, "networks whose X-Forwarded-* headers are believed")
	fs.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json")
}

// daemon is rhumb.Server: control, and the builder that it leaves to us.
type daemon struct {
	*control.Control
	rhumb.Builder
}

// serve runs the daemon until ctx ends.
func (a *app) serve(ctx context.Context, conf serverConfig) error {
	log := newLog(a.stderr, conf.LogFormat)
	if err := os.MkdirAll(conf.proxyState(), 0o700); err != nil {
		return rhumb.Errorf(rhumb.Denied, "the state folder can't be made: %w", err).WithHint("run it as root, or choose another folder with --data")
	}
	unlock, err := lockFolder(conf.Data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := backup.Settled(conf.Data); err != nil {
		return err
	}
	store, err := openStore(conf)
	if err != nil {
		return err
	}
	defer func() { // after control and the API, which use it
		if err := store.Close(); err != nil {
			log.Error("store not closed", "err", err)
		}
	}()
	engine, err := docker.New(docker.Options{Host: conf.DockerHost, Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }()
	ln, err := listenUnix(conf.Socket)
	if err != nil {
		return err
	}
	defer os.Remove(conf.Socket)
	keeper := &proxyKeeper{conf: conf, router: proxy.Dial(conf.proxySocket()), log: log}
	if err := keeper.ensure(ctx); err != nil {
		ln.Close()
		return err
	}
	d, err := assemble(conf, engine, control.Deps{Engine: engine, Images: engine, Store: store, Router: keeper.router, Log: log})
	if err != nil {
		ln.Close()
		return err
	}
	api := httpapi.New(d, log)
	if err := sdnotify.Ready(); err != nil {
		log.Warn("systemd not told", "err", err)
	}
	log.Info("server started", "version", version, "socket", conf.Socket, "data", conf.Data, "http", conf.HTTP)
	err = together(ctx, keeper.run, d.Hold, func(ctx context.Context) error { return httpapi.Serve(ctx, ln, api, log) })
	log.Info("server stopped", "err", err)
	return err
}

// together runs parts until ctx ends or one of them fails, and then ends the others.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		g.Go(func() error { return part(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// assemble makes the daemon, and removes the build contexts that one which died has left.
func assemble(conf serverConfig, engine *docker.Engine, deps control.Deps) (daemon, error) {
	entry, err := conf.entry()
	if err != nil {
		return daemon{}, err
	}
	if deps.HTTPS, err = conf.TLS.entry(); err != nil {
		return daemon{}, err
	}
	if deps.ACME, err = conf.TLS.authority(); err != nil {
		return daemon{}, err
	}
	box, err := seal.Open(filepath.Join(conf.Data, "key"))
	if err != nil {
		return daemon{}, err
	}
	deps.Certificates = certs.OpenStore(certsFolder(conf.proxyState()), box)
	deps.Entry, deps.Keep, deps.Version, deps.Data, deps.Sweep = entry, conf.KeepReleases, version, conf.Data, engine.SweepFiles
	b := build.New(engine.Client(), deps.Log)
	b.Dir = filepath.Join(conf.Data, "builds")
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return daemon{}, rhumb.Errorf(rhumb.Denied, "the folder of build contexts can't be made: %w", err)
	}
	deps.DiskLimit, deps.Usage, deps.Trim = conf.DiskLimit, engine.Usage, engine.TrimCache
	c := control.New(deps)
	return daemon{c, builder{b, c.Room, engine.MarkBuilt, deps.Log}}, b.Sweep()
}

// openStore opens the database, with the key that unseals it.
func openStore(conf serverConfig) (*sqlite.Store, error) {
	box, err := seal.Open(filepath.Join(conf.Data, "key"))
	if err != nil {
		return nil, err
	}
	return sqlite.Open(filepath.Join(conf.Data, "rhumb.db"), box)
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
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
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

// lockFolder makes this the only daemon of a state folder, until unlock.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the state folder can't be locked: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "another rhumb server uses %s", dir).WithHint("stop it, or choose another folder with --data")
	}
	return func() { f.Close() }, nil // the lock goes with the file
}
