// Package measure measures the machine, the stacks' replicas and routes, and rhumb itself, and hands the samples to a
// sink. docs/metrics.md has the names and labels of all series.
//
//	engine ── roster ──▶ containers (control groups, namespaces) ──┐
//	             └─────▶ applications (their own metrics)   ───────┤
//	proxy  ────────────▶ traffic ──────────────────────────────────┼──▶ observe.SampleSink
//	daemon ────────────▶ stacks ───────────────────────────────────┤
//	kernel ────────────▶ machine, space, processes ────────────────┘
//
// Each part has goroutines of its own, so that none waits for another. A part that can't measure something leaves its
// samples out.
package measure

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"rhumb"
	"rhumb/observe"
)

// machineEvery is how often the machine and rhumb's own processes are measured.
const machineEvery = 15 * time.Second

// Engine is what is needed of an engine.
type Engine interface {
	Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error)
	Watch(ctx context.Context) (<-chan rhumb.Change, error)
	rhumb.Processes
}

// Router is what is needed of the proxy.
type Router interface {
	Status(ctx context.Context) (rhumb.RouterStatus, error)
}

// Daemon is what is needed of the daemon, which may be away.
type Daemon interface {
	Info(ctx context.Context) (rhumb.ServerInfo, error)
	Stacks(ctx context.Context) ([]rhumb.StackInfo, error)
	Deployments(ctx context.Context, stack string, limit int) ([]rhumb.Deployment, error)
	Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error]
}

// Deps are what a measurer works with.
type Deps struct {
	Engine    Engine
	Router    Router
	Daemon    Daemon
	Sink      observe.SampleSink
	Folders   []string     // whose file systems are measured; of several with the same one, the first counts
	ServerPID func() int   // the daemon's process; nil or 0: unknown
	Root      string       // the folder that has proc and sys in it; "": /
	Log       *slog.Logger // nil: nothing is logged
}

// Measurer measures. It is safe for concurrent use.
type Measurer struct {
	roster       *roster
	containers   *containers
	machine      *machine
	space        *space
	processes    *processes
	traffic      *traffic
	stacks       *stacks
	applications *applications
}

// New returns a measurer.
func New(d Deps) *Measurer {
	if d.Root == "" {
		d.Root = "/"
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	board := func() *board { return newBoard(d.Sink, d.Log) }
	r := newRoster(d.Engine, d.Log)
	m := &Measurer{
		roster:       r,
		containers:   newContainers(d.Root, r, board(), d.Log),
		machine:      newMachine(d.Root, board()),
		space:        newSpace(d.Folders, board(), d.Log),
		traffic:      &traffic{router: d.Router, roster: r, board: board(), log: d.Log, last: process{name: "proxy"}},
		stacks:       newStacks(d.Daemon, board(), d.Log),
		applications: newApplications(r, d.Sink, d.Log),
	}
	m.processes = &processes{root: d.Root, board: board(), look: func() []process {
		server := m.stacks.server()
		if d.ServerPID != nil {
			server.pid = d.ServerPID()
		}
		own := process{name: "observe", asked: true, up: true, pid: os.Getpid(), goroutines: runtime.NumGoroutine()}
		return []process{server, m.traffic.proxy(), own}
	}}
	return m
}

// Run measures until ctx ends. It may be called once.
func (m *Measurer) Run(ctx context.Context) error {
	defer m.containers.close()
	var parts sync.WaitGroup
	ticking := func(d time.Duration, sample func(context.Context, time.Time)) {
		parts.Go(func() { every(ctx, d, sample) })
	}
	parts.Go(func() { m.roster.run(ctx) })
	parts.Go(func() { m.stacks.follow(ctx) })
	parts.Go(func() { m.stacks.run(ctx) })
	parts.Go(func() { m.applications.run(ctx) })
	ticking(rhumb.MeasureEvery, m.containers.sample)
	ticking(rhumb.MeasureEvery, m.traffic.sample)
	ticking(rhumb.MeasureEvery, m.stacks.sample)
	ticking(machineEvery, m.machine.sample)
	ticking(machineEvery, m.space.sample)
	ticking(machineEvery, m.processes.sample)
	parts.Wait()
	return nil
}

// SetScrapes says at which services' replicas applications have metrics of their own, by stack and service. It replaces
// what was said before.
func (m *Measurer) SetScrapes(scrapes map[string]map[string]rhumb.Scrape) {
	m.applications.set(scrapes)
}

// Standings returns what the daemon last said of the stacks.
func (m *Measurer) Standings() observe.Standings { return m.stacks }
