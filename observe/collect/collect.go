// Package collect carries every line that containers write to a sink, once. It tails the files of json-file drivers,
// and reads other drivers through the engine.
//
// A position says how far the lines of a container are in the sink and on its disk. Positions are stored every ten
// seconds, or every second if much is written, so after a crash the lines behind them may be in the sink already. The
// collector then asks the sink which lines it has, and skips them.
package collect

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/observe"
	"rhumb/observe/internal/relist"
)

// Engine is what the collector needs of an engine. If Writers fails, it may return some writers all the same.
type Engine interface {
	rhumb.LogWriters
	Watch(ctx context.Context) (<-chan rhumb.Change, error)
	Logs(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error]
}

// How often the collector looks.
const (
	listEvery   = 10 * time.Second       // the engine's containers, beside its events
	listPause   = 50 * time.Millisecond  // at least, between two lists
	saveFirst   = 50 * time.Millisecond  // positions, after the start: it may be killed again soon
	saveEvery   = time.Second            // positions, if saveBytes were delivered since
	saveLatest  = 10 * time.Second       // positions
	pollEvery   = 100 * time.Millisecond // files, where inotify doesn't work
	retryEngine = time.Second
)

// saveBytes is after how many delivered bytes the positions are stored soon: a rotation removes what a process that is
// killed hasn't delivered. Storing costs the disk much, because the lines before them are synced.
const saveBytes = 128 << 10

// Deps are what a collector works with.
type Deps struct {
	Engine    Engine
	Sink      observe.Sink // Append is called from several goroutines
	Left      Left         // nil: there are none
	Positions string       // the file that keeps the positions; its folder must exist
	Log       *slog.Logger // nil: nothing is logged
}

// Collector follows the lines of all containers.
type Collector struct {
	engine    Engine
	left      Left
	sink      observe.Sink
	log       *slog.Logger
	positions *positions
	watch     *watch
	relist    chan chan struct{} // asks for a list; closed once it is made
	work      sync.WaitGroup     // the workers of containers
	unsaved   atomic.Int64       // bytes of the lines that were delivered since the positions were stored

	mu      sync.Mutex
	tails   map[string]*tail // by container
	removed map[string]bool  // the containers of left; true: all of their lines are in the sink
}

// New returns a collector. It reads the stored positions. A file of positions that can't be read is set aside.
func New(d Deps) *Collector {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Left == nil {
		d.Left = noLeft{}
	}
	return &Collector{engine: d.Engine, left: d.Left, sink: d.Sink, log: d.Log,
		positions: loadPositions(d.Positions, d.Log),
		watch:     newWatch(d.Log), relist: make(chan chan struct{}), tails: map[string]*tail{},
		removed: map[string]bool{}}
}

// Run collects until ctx ends. It may be called once.
func (c *Collector) Run(ctx context.Context) error {
	defer c.close()
	err := c.run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, c.save(last))
}

// run is Run without storing the positions at the end, as after a crash.
func (c *Collector) run(ctx context.Context) error {
	var others sync.WaitGroup
	others.Go(func() { c.watch.run(ctx) })
	others.Go(func() { c.saveAll(ctx) })
	c.follow(ctx)
	c.work.Wait()
	others.Wait()
	return nil
}

// close closes all files. Nothing runs any more.
func (c *Collector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tails {
		t.trail.close()
	}
}

// follow lists the containers when the engine reports a change, when Drained asks, and every 10 s.
func (c *Collector) follow(ctx context.Context) {
	relist.Loop{Watch: c.watchEngine, List: c.list, Asked: c.relist, Every: listEvery, Pause: listPause,
		Retry: retryEngine}.Run(ctx)
}

func (c *Collector) watchEngine(ctx context.Context) (<-chan rhumb.Change, error) {
	changes, err := c.engine.Watch(ctx)
	if err != nil {
		c.log.Debug("the engine's events can't be watched, trying again", "err", err)
	}
	return changes, err
}

// list looks at all containers, starts workers for those that are new, and ends those that are gone.
func (c *Collector) list(ctx context.Context) {
	ws, err := c.engine.Writers(ctx)
	if err != nil && ctx.Err() == nil {
		c.log.Warn("containers can't be listed, trying again", "err", err)
	}
	ws, removed, leftErr := c.withLeft(ws)
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.removed)
	listed := make(map[string]bool, len(ws))
	for _, w := range ws {
		id := w.Line.Container
		listed[id] = true
		if w.Started.IsZero() {
			continue
		}
		c.listed(ctx, w, removed[id])
	}
	if err != nil || leftErr != nil {
		return // the files of those that are known are still followed
	}
	for id, t := range c.tails {
		if listed[id] {
			continue
		}
		if t.isDone() {
			delete(c.tails, id)
		} else {
			t.removed()
		}
	}
	c.positions.keep(func(id string) bool { return listed[id] || c.tails[id] != nil })
}

// listed follows a container. The caller holds the lock.
func (c *Collector) listed(ctx context.Context, w rhumb.LogWriter, removed bool) {
	id := w.Line.Container
	t := c.tails[id]
	done := t != nil && t.isDone()
	if t == nil || t.grown(w) {
		done = false
		if t != nil {
			c.notePosition(t)
		}
		t = newTail(c, w)
		c.tails[id] = t
		c.work.Go(func() { t.run(ctx) })
	}
	if removed {
		t.trail.move(w.File)
		c.removed[id] = done // a worker that ends after this look may have missed files that were moved
	}
	t.listed(w)
}

// Drained returns once all lines that the container has written up to now are in the sink and on its disk. A caller
// that is about to remove a dead container waits for it, with a limit.
// NotFound: no such container is known. Timeout: ctx ended first. Unavailable: the sink takes no lines.
func (c *Collector) Drained(ctx context.Context, container string) error {
	late := func() error {
		return rhumb.Errorf(rhumb.Timeout, "the logs of container %s are not collected yet: %w", container, ctx.Err())
	}
	listed := make(chan struct{})
	select {
	case <-ctx.Done():
		return late()
	case c.relist <- listed:
	}
	select {
	case <-ctx.Done():
		return late()
	case <-listed:
	}
	c.mu.Lock()
	t := c.tails[container]
	c.mu.Unlock()
	if t == nil {
		return rhumb.Errorf(rhumb.NotFound, "container %s: is not there", container)
	}
	if err := t.drained(ctx); ctx.Err() != nil {
		return late()
	} else if err != nil {
		return err
	}
	return c.sink.Sync(ctx, t.stack)
}

// saveAll stores the positions every ten seconds, every second if much is written, and more often at first.
func (c *Collector) saveAll(ctx context.Context) {
	last := time.Now()
	for wait := saveFirst; ; wait = min(2*wait, saveEvery) {
		if !pause.For(ctx, wait) {
			return
		}
		if wait == saveEvery && c.unsaved.Load() < saveBytes && time.Since(last) < saveLatest {
			continue
		}
		last = time.Now()
		c.unsaved.Store(0)
		if err := c.save(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("log positions not stored, trying again", "err", err)
		}
	}
}

// save stores the positions, if any has changed. The lines before them are on the sink's disk by then.
func (c *Collector) save(ctx context.Context) error {
	c.mu.Lock()
	all := make([]*tail, 0, len(c.tails))
	var done []string // of those that are removed
	for id, t := range c.tails {
		all = append(all, t)
		if c.removed[id] {
			done = append(done, id)
		}
	}
	c.mu.Unlock()
	for _, t := range all {
		c.notePosition(t)
	}
	if err := c.positions.store(func() error { return c.sink.Sync(ctx) }); err != nil {
		return err
	}
	c.drop(done)
	return nil
}

func (c *Collector) notePosition(t *tail) {
	if p, ok := t.position(); ok {
		c.positions.set(t.id, p)
	}
}
