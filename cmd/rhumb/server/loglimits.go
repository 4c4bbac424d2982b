package server

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/internal/pause"
)

const (
	limitsTime    = 10 * time.Second // within which the process that keeps logs takes the limits
	limitsSlowest = time.Minute      // the longest pause between two tries
	limitsTries   = 5                // after so many the log has a warning: the process may only just be starting
	limitsEvery   = 10 * time.Minute // the limits are sent again: the process may have lost its file of them
)

// logLimits sends the limits of the stacks' logs to the process that keeps logs.
type logLimits struct {
	send func(ctx context.Context, limits map[string]rhumb.LogLimits) error // nil: logs aren't kept
	log  *slog.Logger

	mu      sync.Mutex
	all     map[string]rhumb.LogLimits // by stack
	changed chan struct{}              // something in all was not sent yet
}

func newLogLimits(conf Config, l *link.Link, log *slog.Logger) *logLimits {
	k := &logLimits{log: log, all: map[string]rhumb.LogLimits{}, changed: make(chan struct{}, 1)}
	if conf.Observe != "off" {
		k.send = l.SetLimits
	}
	return k
}

// record has the limits of a stack sent soon, if they are new. It never blocks.
func (k *logLimits) record(stack string, l rhumb.LogLimits) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, ok := k.all[stack]; ok && was == l {
		return
	}
	k.all[stack] = l
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// run sends what is recorded, until ctx ends.
func (k *logLimits) run(ctx context.Context) error {
	if k.send == nil {
		<-ctx.Done()
		return nil
	}
	again := time.NewTicker(limitsEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.changed:
		case <-again.C:
		}
		k.deliver(ctx)
	}
}

// deliver sends all limits, and tries again until they are taken or ctx ends.
func (k *logLimits) deliver(ctx context.Context) {
	wait := time.Second
	for tries := 1; ; tries++ {
		err := k.sendAll(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if tries == limitsTries {
			k.log.Warn("limits of logs not sent; trying again", "err", err)
		}
		if !pause.For(ctx, wait) {
			return
		}
		wait = min(2*wait, limitsSlowest)
	}
}

func (k *logLimits) sendAll(ctx context.Context) error {
	k.mu.Lock()
	all := maps.Clone(k.all)
	k.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limitsTime)
	defer cancel()
	return k.send(ctx, all)
}
