// Package metrics keeps samples on disk and evaluates queries over them, with the storage and the engine of Prometheus.
//
//	DIR/01J…          blocks of an hour and more, which don't change
//	DIR/wal           what is newer, as it was added
//	DIR/chunks_head   a part of it, as it was last read from wal
//	DIR/damaged/      what could not be read, set aside; removed when it is older than all samples
//	DIR/reserve       room for reading wal on a full disk
//
// The library panics in goroutines of its own when it can't write chunks_head. So it writes there only while it opens
// and closes, and for opening there is the reserve. Add looks first how much space there is.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"

	"rhumb"
)

// Options are what a store keeps, and where.
type Options struct {
	Dir    string
	Keep   time.Duration // 0: DefaultKeep
	Size   int64         // bytes on disk; 0: DefaultSize
	Series int           // that had samples within the last hour or two; 0: DefaultSeries
	Log    *slog.Logger
}

// What a store keeps if its options don't say it.
const (
	DefaultKeep   = 15 * 24 * time.Hour
	DefaultSize   = 1 << 30
	DefaultSeries = 200_000
)

// blockRange is the time range of the youngest blocks. The samples of up to one and a half of it are in memory.
const blockRange = time.Hour

// Store is an observe.SampleSink, and reads what it took as rhumb.Metrics.
type Store struct {
	opts   Options
	folder folder
	db     *tsdb.DB
	engine *promql.Engine
	parser parser.Parser
	turns  turns

	refs    refs
	count   seriesCount
	dropped atomic.Int64

	reported atomic.Int64 // when damage was last logged, in nanoseconds of Unix time
}

// Open opens the store in a folder, which it creates, and sets aside what is damaged there. It reads the samples of the
// last hours, which takes a second for a million of them. Unavailable: the disk is full or fails, or another process
// has the store open.
func Open(o Options) (*Store, error) {
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	if o.Series == 0 {
		o.Series = DefaultSeries
	}
	s := &Store{opts: o, folder: folder{o.Dir, o.Log}, turns: newTurns()}
	s.refs.of = map[seriesKey]*ref{}
	s.count.limit = int64(o.Series)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "the folder of the metrics can't be made: %w", err)
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.count.closed.Store(true)
	s.parser = parser.NewParser(parser.Options{})
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger: s.folder.library(), MaxSamples: maxSamples, Timeout: queryTimeout, LookbackDelta: Lookback, Parser: s.parser,
		EnableAtModifier: true, EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
	})
	return s, nil
}

// open mends what is damaged and opens the library's store. If that finds more damage, it sets the newest samples aside
// and tries once more.
func (s *Store) open() error {
	for try := 0; ; try++ {
		if err := s.folder.makeRoom(); err != nil {
			return err
		}
		s.folder.mend()
		err := guarded(func() (err error) {
			s.db, err = tsdb.Open(s.opts.Dir, s.folder.library(), nil, s.tsdbOptions(), nil)
			return err
		})
		if err == nil {
			s.db.DisableCompactions() // Run does it
			s.folder.reserve()
			return nil
		}
		if try > 0 || !damage(err) {
			return rhumb.Errorf(rhumb.Unavailable, "the store of metrics can't be opened: %w", err)
		}
		s.opts.Log.Error("newest metrics not readable, setting them aside", "err", err)
		for _, name := range []string{"wal", "chunks_head"} {
			s.folder.setAside(name)
		}
	}
}

// damage reports whether an error says that something on the disk contains what it must not.
func damage(err error) bool {
	var w *wlog.CorruptionErr
	var c *chunks.CorruptionErr
	var p panicked
	return errors.As(err, &w) || errors.As(err, &c) || errors.As(err, &p)
}

// tsdbOptions returns the library's options. Its own intervals never end: Run does what they would do.
func (s *Store) tsdbOptions() *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = s.opts.Keep.Milliseconds()
	o.MaxBytes = s.opts.Size
	o.MinBlockDuration = blockRange.Milliseconds()
	o.MaxBlockDuration = max(s.opts.Keep/10, blockRange).Milliseconds()
	o.BlockReloadInterval = 100 * 365 * 24 * time.Hour
	o.WALSegmentSize = 2 << 20 // what one damaged place can take with it
	o.WALCompression = compression.Snappy
	o.WALReplayConcurrency = 2
	o.MaxBlockChunkSegmentSize = segmentSize
	o.StripeSize = 1024
	o.HeadChunksWriteBufferSize = chunks.MinWriteBufferSize
	o.HeadChunksWriteQueueSize = 0 // in the goroutine that opens or closes
	o.SeriesLifecycleCallback = &s.count
	o.BlockQuerierFunc = s.lenientQuerier
	return o
}

// Run writes blocks, merges them and removes old ones, until ctx ends. A failure is logged and tried again.
func (s *Store) Run(ctx context.Context) error {
	const often, seldom = time.Minute, 16 * time.Minute
	wait := often
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		s.refs.sweep(time.Now())
		s.folder.removeAside(time.Now().Add(-s.opts.Keep))
		s.folder.reserve()
		before := s.db.Head().MinTime()
		if err := s.compact(ctx); err != nil && ctx.Err() == nil {
			wait = min(2*wait, seldom)
			s.opts.Log.Error("metrics not compacted, trying again", "in", wait, "err", err)
			continue
		}
		wait = often
		if s.db.Head().MinTime() != before {
			debug.FreeOSMemory() // a process without work keeps it
		}
	}
}

// compact writes blocks, merges them and removes old ones, as far as it is time to.
func (s *Store) compact(ctx context.Context) error {
	return guarded(func() error { return s.db.Compact(ctx) })
}

// Close closes the store. Nothing may use it any more, and Run must have ended.
func (s *Store) Close() error {
	if err := guarded(s.db.Close); err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the store of metrics can't be closed: %w", err)
	}
	return nil
}

// panicked is a panic of the library, or a page of a file that can't be read.
type panicked struct{ what string }

func (p panicked) Error() string { return p.what }

func panickedWith(p any) error { return panicked{fmt.Sprint(p)} }

// guarded calls f and returns its panic as an error. The library reads files as memory: where the disk fails, or a file
// has become shorter, that is a fault.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = panickedWith(p)
		}
	}()
	return f()
}
