// Package observed is the process that keeps logs: a store, a collector that fills it from the engine's containers, a
// forwarder that sends kept lines to other systems, and the socket at which the daemon reads all this. It may die at
// any time; nothing that serves or decides waits for it.
package observed

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/cmd/rhumb/state"
	"rhumb/httpapi"
	"rhumb/internal/sdnotify"
	"rhumb/internal/together"
	"rhumb/internal/unixsocket"
	"rhumb/observe"
	"rhumb/proxy"
)

// Options configures a process that keeps logs.
type Options struct {
	State      string       // the folder of what it keeps
	Socket     string       // where the daemon reads it
	Data       state.Folder // of the server: rhumb's own processes write lines in it, and the proxy answers
	Server     string       // the socket at which the server answers
	DockerHost string       // the engine whose containers write lines and are measured
	Forward    []string     // the URLs of the systems to which lines are sent as well
	AlertTo    []string     // the URLs of those to which messages about alerts are sent

	Metrics   string        // the address of /metrics and Prometheus' API; "": none
	Dashboard string        // the address of the dashboard; "": none
	Hosts     []string      // names under which browsers reach it, beside localhost and addresses
	Keep      time.Duration // for how long values are kept
	Size      int64         // bytes that they may take

	Version string
	Log     *slog.Logger
}

// lines returns the folder in which rhumb's own processes write lines.
func (o *Options) lines() state.Lines { return state.LinesIn(o.Data) }

// dashboardURL returns the address of the dashboard for messages; "": there is none.
func (o *Options) dashboardURL() string {
	if o.Dashboard == "" {
		return ""
	}
	return "http://" + o.Dashboard
}

// store keeps lines.
type store interface {
	observe.Sink
	rhumb.Observer
	// SetLimits sets the limits of a stack. A stack of which it was never called has rhumb.DefaultLogLimits.
	SetLimits(stack string, l rhumb.LogLimits)
	// Run removes old lines until ctx ends.
	Run(ctx context.Context) error
	// Close writes all lines to the disk. Nothing may use the store any more.
	Close() error
}

// collector fills a store.
type collector interface {
	// Run collects until ctx ends.
	Run(ctx context.Context) error
	// Drained returns once all that a dead container wrote is in the store, or ctx ends.
	Drained(ctx context.Context, container string) error
}

// Run collects, keeps and forwards lines until ctx ends. Locked: another process uses the folder. Invalid: a
// destination can't be used.
func Run(ctx context.Context, o Options) error { return run(ctx, o, newCollector) }

// run is Run with any collector. When it has ended, done is called.
func run(ctx context.Context, o Options,
	collecting func(Options, observe.Sink) (from collector, done func(), err error)) (err error) {
	unlock, err := claim(o.State)
	if err != nil {
		return err
	}
	defer unlock()
	kept, err := openStore(o)
	if err != nil {
		return err
	}
	defer func() {
		if closing := kept.Close(); closing != nil && err == nil {
			err = closing
		}
	}()
	out, err := newForwarder(o)
	if err != nil {
		return err
	}
	values := measuredOrNot(o, kept)
	defer values.close()
	watch := newBanWatch(proxy.DialBook(o.Data.ProxySocket()).ReportMatches, o.Log)
	asked, err := openObserving(o.State, func(stack string, o rhumb.Observing) {
		kept.SetLimits(stack, o.Logs)
		values.set(stack, o)
		watch.set(stack, o)
	})
	if err != nil {
		return err
	}
	to := sink{values.counting(watch.watching(kept)), out}
	from, done, err := collecting(o, to)
	if err != nil {
		return err
	}
	defer done()
	k := link.Keeper{Version: o.Version, Observer: kept, Forwarding: to, Drained: from.Drained, Observe: asked.change,
		Log: o.Log}
	values.offer(&k)
	return serve(ctx, o, k, append(values.parts(), watch.run, kept.Run, outlive(from.Run, out.Run))...)
}

// serve answers the daemon until ctx ends, and runs the parts meanwhile.
func serve(ctx context.Context, o Options, k link.Keeper, parts ...func(context.Context) error) error {
	ln, err := unixsocket.Listen(o.Socket, unixsocket.Private)
	if err != nil {
		return err
	}
	defer os.Remove(o.Socket)
	defer ln.Close()
	h := link.Handler(k)
	if err := sdnotify.Ready(); err != nil {
		o.Log.Warn("systemd not notified", "err", err)
	}
	o.Log.Info("observe started", "version", o.Version, "socket", o.Socket, "state", o.State)
	answer := func(ctx context.Context) error { return httpapi.Serve(ctx, ln, h, o.Log) }
	err = together.Run(ctx, append(parts, answer)...)
	o.Log.Info("observe stopped", "err", err)
	return err
}

// claim makes the folder if it doesn't exist, and locks it until unlock.
func claim(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the folder of kept logs can't be made: %w", err).
			WithHint("run it as root, or choose another folder with --state")
	}
	f, err := os.Open(folder)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the folder of kept logs can't be opened: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, rhumb.Errorf(rhumb.Locked, "%s: another rhumb observe uses this folder", folder).
			WithHint("stop it, or choose another folder with --state")
	}
	return func() { f.Close() }, nil
}
