package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rhumb"
	"rhumb/engine/docker"
	"rhumb/httpapi/client"
	"rhumb/internal/together"
	"rhumb/observe"
	"rhumb/observe/measure"
	"rhumb/observe/metrics"
	"rhumb/proxy"
)

const (
	sampled    = 50               // replicas
	sampleWarm = 20 * time.Second // until all files are open
	sampleTime = 2 * time.Minute  // a multiple of the time between two turns
)

// sampleReplicas measures what it costs to measure replicas every five seconds and to keep that: in this process, which
// does nothing else meanwhile, and in the server's own, which keeps lines, evaluates rules and shows the dashboard too.
// The floor is reading the same files with os.ReadFile, and nothing else.
func sampleReplicas(ctx context.Context, o options) error {
	s, err := newServer(ctx, o, "own")
	if err != nil {
		return err
	}
	defer s.close(context.WithoutCancel(ctx))
	if err := s.deploy(ctx, quietService(o, sampled)); err != nil {
		return err
	}
	engine, err := docker.New(docker.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }()
	files, err := groupFiles(ctx, engine)
	if err != nil {
		return err
	}
	pids, err := s.processes()
	if err != nil {
		return err
	}
	sink := &counting{}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.sample(running, engine, sink) }()
	if err = wait(ctx, sampleWarm); err == nil {
		err = compareSampling(ctx, files, pids["observe"], sink)
	}
	stop()
	if e := <-ended; err == nil {
		err = e
	}
	return err
}

// compareSampling prints the costs. The floor is measured before and after, each time for a third of the turns.
func compareSampling(ctx context.Context, files []string, observe int, sink *counting) error {
	turns := int(sampleTime / rhumb.MeasureEvery)
	before, err := readAll(files, turns/3)
	if err != nil {
		return err
	}
	whole, samples := cpuOf(observe), sink.n
	ours, err := spent(func() error { return wait(ctx, sampleTime) })
	if err != nil {
		return err
	}
	whole, samples = cpuOf(observe)-whole, sink.n-samples
	after, err := readAll(files, turns/3)
	if err != nil {
		return err
	}
	floor := (before + after) / 2 * time.Duration(turns)
	fmt.Printf("%d replicas measured every %s, for %s: %d files of the kernel's, %d samples a turn\n", sampled,
		rhumb.MeasureEvery, sampleTime, len(files), samples/turns)
	for _, c := range []struct {
		name string
		cpu  time.Duration
	}{
		{"os.ReadFile, and nothing else", floor},
		{"measuring and storing", ours},
		{"rhumb observe, all that it does", whole},
	} {
		fmt.Printf("  %-46s %.2f%% of a core, %4.1f ms a turn   ratio to the floor: %.2f\n", c.name,
			100*c.cpu.Seconds()/sampleTime.Seconds(), 1000*c.cpu.Seconds()/float64(turns), c.cpu.Seconds()/floor.Seconds())
	}
	fmt.Println()
	return nil
}

// sample measures into a store of its own until ctx ends, as the server's process does.
func (r *server) sample(ctx context.Context, engine *docker.Engine, sink *counting) error {
	log := slog.New(slog.DiscardHandler)
	store, err := metrics.Open(metrics.Options{Dir: filepath.Join(r.dir, "measured"), Log: log})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	daemon, err := client.New("unix://" + r.socket())
	if err != nil {
		return err
	}
	defer daemon.Close()
	sink.SampleSink = store
	m := measure.New(measure.Deps{Engine: engine, Daemon: daemon, Sink: sink, Folders: []string{r.dir, "/"}, Log: log,
		Router: proxy.Dial(filepath.Join(r.dir, "data", "proxy", "control.sock"))})
	return together.Run(ctx, store.Run, m.Run)
}

// counting counts the samples that pass.
type counting struct {
	observe.SampleSink
	n int
}

func (c *counting) Add(ctx context.Context, at time.Time, samples []observe.Sample) error {
	c.n += len(samples)
	return c.SampleSink.Add(ctx, at, samples)
}

// wait returns after a time, or when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// readAll reads all files in each of some turns, and returns what a turn takes.
func readAll(files []string, turns int) (time.Duration, error) {
	all, err := spent(func() error {
		for range turns {
			for _, path := range files {
				if _, err := os.ReadFile(path); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all / time.Duration(turns), err
}

// usageFiles are the files that say what a control group has used, of either version.
var usageFiles = []string{
	"cpuacct.usage", "cpu.stat", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max", "cpu.pressure",
	"memory.usage_in_bytes", "memory.stat", "memory.limit_in_bytes", "memory.oom_control", "memory.current", "memory.max",
	"memory.events", "memory.pressure", "blkio.throttle.io_service_bytes_recursive",
	"blkio.bfq.io_service_bytes_recursive", "io.stat", "io.pressure", "pids.current",
}

// groupFiles returns the files from which the usage of all replicas is read.
func groupFiles(ctx context.Context, engine *docker.Engine) ([]string, error) {
	replicas, err := engine.Replicas(ctx, "rhumbbench")
	if err != nil {
		return nil, err
	}
	var files []string
	for _, r := range replicas {
		p, err := engine.Process(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		proc := fmt.Sprintf("/proc/%d/", p.PID)
		groups, err := os.ReadFile(proc + "cgroup")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(groups)) {
			f := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(f) < 3 || !strings.Contains(f[2], r.ID) {
				continue
			}
			for _, name := range usageFiles {
				path := filepath.Join("/sys/fs/cgroup", f[1], f[2], name)
				if _, err := os.Stat(path); err == nil {
					files = append(files, path)
				}
			}
		}
		files = append(files, proc+"net/dev")
	}
	if len(replicas) != sampled || len(files) < 2*sampled {
		return nil, fmt.Errorf("%d replicas with %d files", len(replicas), len(files))
	}
	return slices.Compact(files), nil
}
