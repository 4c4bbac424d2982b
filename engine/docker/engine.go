// Package docker implements rhumb.Engine on one Docker Engine, reached over its unix socket.
package docker

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/contents"
	"rhumb/engine/docker/internal/images"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/networks"
	"rhumb/engine/docker/internal/observed"
)

// Options configures an engine. The zero value is the engine of this machine.
type Options struct {
	Host  string       // "unix:///path"; "": unix:///var/run/docker.sock
	Files string       // the folder of configs and secrets, kept in memory; "": /run/rhumb/files
	Key   []byte       // keys the hashes that name contents there; nil: a guessed content can be checked against its name
	Log   *slog.Logger // nil: nothing is logged
	// Drain is called before a container that ran is removed: its lines go with it. It has a limit of its own.
	Drain func(ctx context.Context, w rhumb.LogWriter) // nil: nothing waits
	// HookLine is called for each line that a hook writes inside a replica: it has the line's time, text and stream, and
	// what is known of the replica. It must not block.
	HookLine func(l rhumb.LogLine) // nil: the lines are only returned
}

// Engine is one Docker Engine. It implements rhumb.Engine, rhumb.Images and the optional capabilities of an engine, and
// is safe for concurrent use. Its methods are those of the parts that it embeds, one for each noun.
type Engine struct {
	conn *conn.Conn

	*replicas // Replicas, Stop, Remove
	*starter  // Start
	*watches  // Watch
	*lives    // Lives

	*networks.Networks // EnsureNetwork, CheckNetwork, RemoveNetwork
	*volumes           // EnsureVolume, CheckVolume, RemoveVolume
	*images.Images     // Resolve, Keep, Release, Sweep, MarkBuilt
	*files             // SweepFiles
	*disk              // Usage, TrimCache

	*commands   // Exec, Probe
	*oneOffs    // Run
	*logs       // Logs
	*writers    // Writers
	*hostsFiles // SetHosts
	*sockets    // Listening
	*processes  // Process
}

var (
	_ rhumb.Engine        = (*Engine)(nil)
	_ rhumb.Images        = (*Engine)(nil)
	_ rhumb.Prober        = (*Engine)(nil)
	_ rhumb.HostsSetter   = (*Engine)(nil)
	_ rhumb.LogReader     = (*Engine)(nil)
	_ rhumb.LogWriters    = (*Engine)(nil)
	_ rhumb.CommandRunner = (*Engine)(nil)
	_ rhumb.Sockets       = (*Engine)(nil)
	_ rhumb.Processes     = (*Engine)(nil)
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
	if o.Drain == nil {
		o.Drain = func(context.Context, rhumb.LogWriter) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c, err := conn.New(o.Host, o.Log)
	if err != nil {
		return nil, err
	}
	known := &observed.Known{}
	e := &Engine{
		conn: c, replicas: &replicas{c, known, o.Drain}, watches: &watches{c, known}, lives: &lives{c},
		Networks: networks.New(c), volumes: &volumes{c}, Images: images.New(c, images.Prefix),
		files: &files{Conn: c, store: contents.New(o.Files, o.Key)}, disk: &disk{c},
		commands: &commands{c, o.HookLine}, logs: &logs{c}, writers: &writers{Conn: c}, hostsFiles: &hostsFiles{Conn: c},
		sockets: &sockets{c}, processes: &processes{c},
	}
	e.starter = &starter{Conn: c, creator: &creator{Conn: c, files: e.files, volumes: e.volumes}, replicas: e.replicas}
	e.oneOffs = &oneOffs{c, e.starter}
	return e, nil
}

// Close closes idle connections. The engine must not be used afterwards.
func (e *Engine) Close() error { return e.conn.API.Close() }

// Client returns the client of the Docker API, for what needs more than rhumb.Engine: builds.
func (e *Engine) Client() *client.Client { return e.conn.API }

// Info describes the engine.
func (e *Engine) Info(ctx context.Context) (rhumb.EngineInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	api, err := e.conn.Version(ctx)
	if err != nil {
		return rhumb.EngineInfo{}, err
	}
	r, err := e.conn.API.Info(ctx, client.InfoOptions{})
	if err != nil {
		return rhumb.EngineInfo{}, e.conn.Fail(err, "get the engine's description")
	}
	return rhumb.EngineInfo{
		Name: "Docker Engine", Host: e.conn.Host, Version: r.Info.ServerVersion, APIVersion: api, OS: r.Info.OSType,
		Arch: architecture(r.Info.Architecture), Root: r.Info.DockerRootDir, CPUs: r.Info.NCPU, Memory: r.Info.MemTotal,
	}, nil
}

// APIVersion returns the version of the API on which client and engine have agreed.
func (e *Engine) APIVersion(ctx context.Context) (string, error) { return e.conn.Version(ctx) }

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

// Holdings lists the networks and volumes that carry the stack's label.
func (e *Engine) Holdings(ctx context.Context, stack string) (rhumb.Holdings, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	var h rhumb.Holdings
	ns, err := e.conn.API.NetworkList(ctx, client.NetworkListOptions{Filters: label.Of(stack)})
	if err != nil {
		return h, e.conn.Fail(err, "list networks")
	}
	vs, err := e.conn.API.VolumeList(ctx, client.VolumeListOptions{Filters: label.Of(stack)})
	if err != nil {
		return h, e.conn.Fail(err, "list volumes")
	}
	for _, n := range ns.Items {
		h.Networks = append(h.Networks, n.Name)
		if b, ok := networks.Bridge(&n.Network); ok {
			h.Bridges = append(h.Bridges, b)
		}
	}
	for _, v := range vs.Items {
		h.Volumes = append(h.Volumes, v.Name)
	}
	slices.Sort(h.Networks)
	slices.SortFunc(h.Bridges, func(a, b rhumb.Bridge) int { return strings.Compare(a.Network, b.Network) })
	slices.Sort(h.Volumes)
	return h, nil
}
