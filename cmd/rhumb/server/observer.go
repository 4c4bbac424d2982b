package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/cmd/rhumb/state"
	"rhumb/internal/pause"
)

// drainOf returns what keeps a container's last lines before it is removed; nil: nothing does.
func drainOf(conf Config, l *link.Link, log *slog.Logger) func(ctx context.Context, w rhumb.LogWriter) {
	if conf.Observe == "off" {
		return nil
	}
	kept := state.KeptIn(state.Folder(conf.Data))
	d := &drain{keep: kept.Left().Keep, ask: l.Drained, log: log}
	return d.last
}

// How long the removal of a container waits for its last lines to be kept.
const (
	drainTime   = 10 * time.Second       // while the process that keeps them is busy
	drainSilent = 5 * time.Second        // while it is away, doesn't answer or can't keep lines
	drainAsk    = 2 * time.Second        // for one answer
	drainPause  = 200 * time.Millisecond // between two
	drainRest   = time.Minute            // no removal waits for so long after one waited for all that time
)

// drain keeps the last lines of containers: it leaves their files to the process that keeps logs, or waits for that
// process where there is no file or none can be left.
type drain struct {
	keep func(w rhumb.LogWriter) error
	ask  func(ctx context.Context, container string) error
	log  *slog.Logger

	mu   sync.Mutex
	rest time.Time // no removal waits before
}

// last keeps the last lines of a container that is about to be removed.
func (d *drain) last(ctx context.Context, w rhumb.LogWriter) {
	if err := d.keep(w); err != nil {
		d.log.Debug("log files of container not left, waiting for its lines", "container", w.Line.Container, "err", err)
		d.await(ctx, w.Line.Container)
	}
}

// await waits for a container's last lines to be kept.
func (d *drain) await(ctx context.Context, id string) {
	began := time.Now()
	if d.resting(began) {
		return
	}
	for heard := began; ; {
		one, cancel := context.WithTimeout(ctx, drainAsk)
		err := d.ask(one, id)
		answered := one.Err() == nil && rhumb.ErrorCode(err) != rhumb.Unavailable
		cancel()
		if err == nil || ctx.Err() != nil || answered && rhumb.ErrorCode(err) != rhumb.Timeout {
			return // a container without lines isn't known
		}
		now := time.Now()
		if answered {
			heard = now
		}
		if now.Sub(began) >= drainTime || now.Sub(heard) >= drainSilent {
			d.log.Warn("last lines of container perhaps not kept", "container", id, "err", err)
			d.mu.Lock()
			d.rest = now.Add(drainRest)
			d.mu.Unlock()
			return
		}
		pause.For(ctx, drainPause)
	}
}

func (d *drain) resting(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return now.Before(d.rest)
}
