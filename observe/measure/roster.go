package measure

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/observe/internal/relist"
)

// How often the engine's replicas are listed.
const (
	listEvery   = 30 * time.Second       // beside the engine's events
	listPause   = 300 * time.Millisecond // at least, between two lists
	listTimeout = 10 * time.Second
	retryEngine = 2 * time.Second
)

// forgetKills is how long the kills of a replica's name are remembered after no replica has it any more.
const forgetKills = 10 * time.Minute

// roster knows which replicas there are. It lists them when the engine says that something has changed.
type roster struct {
	engine Engine
	log    *slog.Logger

	mu     sync.Mutex
	listed listing

	// These belong to the goroutine that lists.
	failing map[string]bool       // by ID: its process could not be found at the last list
	counted map[string]bool       // by ID: its death for lack of memory is in kills
	kills   map[string]*deathToll // by name
}

// listing is what the engine last listed. It doesn't change.
type listing struct {
	asked    bool // the engine was asked at least once
	up       bool // it answered
	replicas []placed
}

// placed is a replica and its process.
type placed struct {
	rhumb.Replica
	process rhumb.ReplicaProcess // zero: it doesn't run, or its process isn't known
	labels  []string             // of all its series: pairs of name and value
	// kills is how many of its name have ended because the kernel killed a process for its memory: their control groups
	// went with them.
	kills float64
}

// deathToll counts the replicas of a name that ran out of memory.
type deathToll struct {
	n    float64
	seen time.Time // when a replica of the name was last there
}

func newRoster(engine Engine, log *slog.Logger) *roster {
	return &roster{engine: engine, log: log, failing: map[string]bool{}, counted: map[string]bool{},
		kills: map[string]*deathToll{}}
}

// now returns the last listing.
func (r *roster) now() listing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listed
}

// run lists the replicas until ctx ends: when the engine reports a change, and every now and then.
func (r *roster) run(ctx context.Context) {
	relist.Loop{Watch: r.engine.Watch, List: r.list, Every: listEvery, Pause: listPause, Retry: retryEngine}.Run(ctx)
}

// list asks the engine. If it doesn't answer, the replicas that it listed before may still run.
func (r *roster) list(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	last := r.now()
	all, err := r.engine.Replicas(ctx, "")
	if err != nil {
		if last.up || !last.asked {
			r.log.Warn("replicas not listed", "err", err)
		}
		last.asked, last.up = true, false
		r.set(last)
		return
	}
	if last.asked && !last.up {
		r.log.Info("replicas are listed again")
	}
	r.set(listing{asked: true, up: true, replicas: r.place(ctx, all, last.replicas)})
}

func (r *roster) set(l listing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed = l
}

// place adds to each replica what the engine's list doesn't have. Only the processes of new ones are asked for.
func (r *roster) place(ctx context.Context, all []rhumb.Replica, before []placed) []placed {
	known := make(map[string]*placed, len(before))
	for i := range before {
		known[before[i].ID] = &before[i]
	}
	list := make([]placed, len(all))
	there := make(map[string]bool, len(all))
	for i, rep := range all {
		there[rep.ID] = true
		p := placed{Replica: rep}
		if old := known[rep.ID]; old != nil {
			p.labels = old.labels
			if rep.Alive() && old.Started.Equal(rep.Started) {
				p.process = old.process
			}
		}
		if p.labels == nil {
			p.labels = labelsOf(&rep)
		}
		if rep.Alive() && p.process.PID == 0 {
			p.process = r.process(ctx, &rep)
		}
		p.kills = r.killed(&rep)
		list[i] = p
	}
	gone := func(id string, _ bool) bool { return !there[id] }
	maps.DeleteFunc(r.failing, gone)
	maps.DeleteFunc(r.counted, gone)
	now := time.Now()
	maps.DeleteFunc(r.kills, func(_ string, t *deathToll) bool { return now.Sub(t.seen) > forgetKills })
	return list
}

// process returns a running replica's process; the zero one if it can't be found.
func (r *roster) process(ctx context.Context, rep *rhumb.Replica) rhumb.ReplicaProcess {
	p, err := r.engine.Process(ctx, rep.ID)
	ended := rhumb.ErrorCode(err) == rhumb.NotFound || rhumb.ErrorCode(err) == rhumb.Conflict
	if err != nil && !ended && !r.failing[rep.ID] {
		r.log.Warn("replica not measured: its process isn't known", "replica", nameOf(rep), "err", err)
	}
	r.failing[rep.ID] = err != nil && !ended
	return p
}

// killed returns how many replicas of the replica's name ran out of memory.
func (r *roster) killed(rep *rhumb.Replica) float64 {
	name := nameOf(rep)
	t := r.kills[name]
	if t == nil {
		if !rep.OOM {
			return 0
		}
		t = &deathToll{}
		r.kills[name] = t
	}
	t.seen = time.Now()
	if rep.OOM && !rep.Alive() && !r.counted[rep.ID] {
		r.counted[rep.ID] = true
		t.n++
	}
	return t.n
}

// labelsOf returns the labels of a replica's series.
func labelsOf(r *rhumb.Replica) []string {
	return slices.Concat(serviceLabels(r.Stack, r.Service), []string{"release", decimal(r.Release), "replica", nameOf(r)})
}

func serviceLabels(stack, service string) []string {
	return []string{"stack", stack, "service", service}
}

// nameOf returns a replica's name, or a one-off's.
func nameOf(r *rhumb.Replica) string {
	if r.OneOff != "" {
		return (&rhumb.ReplicaSpec{Stack: r.Stack, Service: r.Service, OneOff: r.OneOff}).Name()
	}
	return r.Name()
}
