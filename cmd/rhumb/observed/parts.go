package observed

import (
	"path/filepath"
	"runtime/debug"

	"rhumb/cmd/rhumb/state"
	"rhumb/engine/docker"
	"rhumb/observe"
	"rhumb/observe/collect"
	"rhumb/observe/forward"
	"rhumb/observe/logstore"
)

// memory is how much the process may use before it collects garbage harder, in bytes. It is far above what it uses: a
// limit that is reached costs all its time. The unit's own limit is higher.
const memory = 400 << 20

// openStore opens the store, in a folder of its own below that of the options.
func openStore(o Options) (store, error) {
	debug.SetMemoryLimit(memory)
	logstore.Prepare(logstore.DefaultMemory, o.Log)
	return logstore.Open(filepath.Join(o.State, "logs"), 0, o.Log)
}

// newForwarder opens the queues of the destinations, in a folder below that of the options.
func newForwarder(o Options) (*forward.Forwarder, error) {
	return forward.New(forward.Options{Dir: filepath.Join(o.State, "forward"), URLs: o.Forward, Log: o.Log})
}

// newCollector returns the collector that fills a sink, and what to do when it has ended.
func newCollector(o Options, sink observe.Sink) (from collector, done func(), err error) {
	engine, err := docker.New(docker.Options{Host: o.DockerHost, Log: o.Log})
	if err != nil {
		return nil, nil, err
	}
	c := collect.New(collect.Deps{Engine: withOwn{engine, o.lines()}, Sink: sink, Log: o.Log,
		Left:      state.Kept(o.State).Left(),
		Positions: filepath.Join(o.State, "positions.json")})
	return c, func() { _ = engine.Close() }, nil
}
