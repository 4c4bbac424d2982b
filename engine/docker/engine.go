// Package docker implements rhumb.Engine on one Docker Engine, reached over its unix socket.
package docker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/contents"
	"rhumb/engine/docker/internal/observed"
)

const (
	callTimeout  = time.Minute      // for every call that isn't a stream
	startTimeout = 5 * time.Minute  // making a replica may copy an image's files into a volume
	stopMargin   = 30 * time.Second // beyond a replica's own grace
	cleanTimeout = 30 * time.Second // for undoing what a failed call left
)

// Options configures an engine. The zero value is the engine of this machine.
type Options struct {
	Host  string       // "unix:///path"; "": unix:///var/run/docker.sock
	Files string       // the folder of configs and secrets, kept in memory; "": /run/rhumb/files
	Key   []byte       // keys the hashes that name contents there; nil: a guessed content can be checked against its name
	Log   *slog.Logger // nil: nothing is logged
}

// Engine is one Docker Engine. It implements rhumb.Engine and rhumb.Images, and is safe for concurrent use.
type Engine struct {
	api   *client.Client
	host  string
	log   *slog.Logger
	files *contents.Store
	marks string // the prefix of the names that mark images as rhumb's

	negotiation sync.Mutex
	version     string // the negotiated API version; "": none yet

	starting names          // names of replicas that are being started
	hosts    names          // IDs of replicas whose hosts files are being changed
	networks sync.Mutex     // the engine allows two networks of one name: looking and creating are one step
	known    observed.Known // replicas as last seen
	mounts   atomic.Pointer[contents.Access]
	declared sync.Map // the volumes that images declare: image ID -> []string
}

var (
	_ rhumb.Engine        = (*Engine)(nil)
	_ rhumb.Images        = (*Engine)(nil)
	_ rhumb.Prober        = (*Engine)(nil)
	_ rhumb.HostsSetter   = (*Engine)(nil)
	_ rhumb.LogReader     = (*Engine)(nil)
	_ rhumb.CommandRunner = (*Engine)(nil)
	_ rhumb.Sockets       = (*Engine)(nil)
)

// New returns an engine. It doesn't connect: if the engine is away, the first call says so. New returns Invalid for a
// host that isn't a unix socket.
func New(o Options) (*Engine, error) {
	if o.Host == "" {
		o.Host = client.DefaultDockerHost
	}
	if o.Files == "" {
		o.Files = "/run/rhumb/files"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if !strings.HasPrefix(o.Host, "unix://") {
		return nil, rhumb.Errorf(rhumb.Invalid, "docker host %q is not a unix socket", o.Host).
			WithHint("run the daemon on the machine whose engine it uses; RHUMB_HOST reaches it from elsewhere")
	}
	api, err := client.New(client.WithHost(o.Host))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "docker host %q: %w", o.Host, err)
	}
	return &Engine{api: api, host: o.Host, log: o.Log, files: contents.New(o.Files, o.Key), marks: keptPrefix}, nil
}

// Close closes idle connections. The engine must not be used afterwards.
func (e *Engine) Close() error { return e.api.Close() }

// Client returns the client of the Docker API, for what needs more than rhumb.Engine: builds.
func (e *Engine) Client() *client.Client { return e.api }

// Info describes the engine.
func (e *Engine) Info(ctx context.Context) (rhumb.EngineInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	api, err := e.APIVersion(ctx)
	if err != nil {
		return rhumb.EngineInfo{}, err
	}
	r, err := e.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return rhumb.EngineInfo{}, e.fail(err, "get the engine's description")
	}
	return rhumb.EngineInfo{
		Name: "Docker Engine", Host: e.host, Version: r.Info.ServerVersion, APIVersion: api, OS: r.Info.OSType,
		Arch: architecture(r.Info.Architecture), Root: r.Info.DockerRootDir, CPUs: r.Info.NCPU, Memory: r.Info.MemTotal,
	}, nil
}

// APIVersion returns the version of the API on which client and engine have agreed. Every call waits for that
// agreement, so it has a deadline even where the caller has none.
func (e *Engine) APIVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	e.negotiation.Lock()
	defer e.negotiation.Unlock()
	if e.version != "" {
		return e.version, nil
	}
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return "", e.fail(err, "reach the engine")
	}
	e.version = e.api.ClientVersion()
	return e.version, nil
}

// architecture maps uname's machine to the name that images use.
func architecture(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l", "armv6l":
		return "arm"
	case "i686", "i386":
		return "386"
	}
	return machine
}
