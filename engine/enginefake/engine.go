// Package enginefake is rhumb's engine in memory, with a clock and faults that a test holds in its hands.
//
// The fake has no timers: every call computes the state of a replica from the clock. Start and Stop return at once.
// The only goroutines are those of Watch.
package enginefake

import (
	"context"
	"time"

	"rhumb"
)

// Engine is an engine in memory. It implements rhumb.Engine, rhumb.Images and the capabilities of an engine except
// Sockets, and is safe for concurrent use. Its methods are those of the parts that it embeds, one for each noun. All
// parts work on one state, under one lock.
type Engine struct {
	*state

	*replicas   // Replicas, Stop, Remove
	*starter    // Start
	*watches    // Watch
	*holdings   // networks and volumes
	*images     // Resolve, Keep, Release, Sweep, and what a test says of images
	*hostsFiles // SetHosts, Hosts
	*commands   // Exec, Probe
	*oneOffs    // Run
	*logs       // Logs
	*logFiles   // Writers, and what a test says of the files that hold logs
	*processes  // Process

	*script // what a test says of replicas and calls
	*hand   // what happens to replicas behind rhumb's back
}

var (
	_ rhumb.Engine        = (*Engine)(nil)
	_ rhumb.Images        = (*Engine)(nil)
	_ rhumb.Prober        = (*Engine)(nil)
	_ rhumb.HostsSetter   = (*Engine)(nil)
	_ rhumb.LogReader     = (*Engine)(nil)
	_ rhumb.LogWriters    = (*Engine)(nil)
	_ rhumb.Processes     = (*Engine)(nil)
	_ rhumb.CommandRunner = (*Engine)(nil)
)

// New returns an engine whose clock is now. The engine calls now from any goroutine.
func New(now func() time.Time) *Engine {
	s := &state{
		now: now, api: "1.56", faults: map[string]*fault{}, behaviours: map[key]Behaviour{},
		networks: map[string]holding{}, volumes: map[string]holding{},
		images: map[string]rhumb.Image{}, scripted: map[string]rhumb.Image{}, missing: map[string]error{},
		fetched: map[string]time.Time{}, removed: map[string]bool{}, kept: map[string]string{},
		watchers: map[*watcher]bool{}, changed: make(chan struct{}),
	}
	e := &Engine{
		state: s, replicas: &replicas{s}, starter: &starter{s}, watches: &watches{s}, holdings: &holdings{s},
		images: &images{s}, hostsFiles: &hostsFiles{s}, commands: &commands{s}, logs: &logs{s}, logFiles: &logFiles{state: s},
		processes: &processes{s}, script: &script{s}, hand: &hand{s},
	}
	e.oneOffs = &oneOffs{e.starter, e.hand}
	return e
}

// Info describes the engine.
func (e *Engine) Info(ctx context.Context) (rhumb.EngineInfo, error) {
	if err := e.enter(ctx, "Info"); err != nil {
		return rhumb.EngineInfo{}, err
	}
	defer e.mu.Unlock()
	return rhumb.EngineInfo{Name: "fake", Version: "1", APIVersion: e.api, OS: "linux", Arch: "amd64", Root: "/nowhere",
		CPUs: 1, Memory: 1 << 30}, nil
}
