package server

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"sync"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/internal/pause"
)

const (
	observingTime    = 10 * time.Second // within which the process that observes takes what the stacks ask for
	observingSlowest = time.Minute      // the longest pause between two tries
	observingTries   = 5                // after so many the log has a warning: the process may only just be starting
	observingEvery   = 10 * time.Minute // all is sent again: the process may have lost its file of it
)

// observing sends what the stacks ask for to the process that observes them.
type observing struct {
	send func(ctx context.Context, asked map[string]rhumb.Observing) error // nil: nothing observes
	log  *slog.Logger

	mu      sync.Mutex
	all     map[string]rhumb.Observing // by stack
	changed chan struct{}              // something in all was not sent yet
}

func newObserving(conf Config, l *link.Link, log *slog.Logger) *observing {
	k := &observing{log: log, all: map[string]rhumb.Observing{}, changed: make(chan struct{}, 1)}
	if conf.Observe != "off" {
		k.send = l.SetObserving
	}
	return k
}

// record has what a stack asks for sent soon, if it is new. It never blocks.
func (k *observing) record(stack string, o rhumb.Observing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, ok := k.all[stack]; ok && reflect.DeepEqual(was, o) {
		return
	}
	k.all[stack] = o
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// run sends what is recorded, until ctx ends.
func (k *observing) run(ctx context.Context) error {
	if k.send == nil {
		<-ctx.Done()
		return nil
	}
	again := time.NewTicker(observingEvery)
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

// deliver sends all of it, and tries again until it is taken or ctx ends.
func (k *observing) deliver(ctx context.Context) {
	wait := time.Second
	for tries := 1; ; tries++ {
		err := k.sendAll(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if tries == observingTries {
			k.log.Warn("what the stacks ask of observe not sent, trying again", "err", err)
		}
		if !pause.For(ctx, wait) {
			return
		}
		wait = min(2*wait, observingSlowest)
	}
}

func (k *observing) sendAll(ctx context.Context) error {
	k.mu.Lock()
	all := maps.Clone(k.all)
	k.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, observingTime)
	defer cancel()
	return k.send(ctx, all)
}
