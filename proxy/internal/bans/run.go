package bans

import (
	"context"
	"time"
)

const (
	sweepEvery  = time.Second
	lookEvery   = 10 * time.Second      // at the machine's addresses
	followEvery = 50 * time.Millisecond // at the file, while a successor writes it
	saveSoonest = 100 * time.Millisecond
	saveShare   = 20 // between two writes there is so many times the time that one takes
)

// Run ends bans that are over and writes the book when it has changed, until ctx ends, and once more then.
func (b *Book) Run(ctx context.Context) error {
	sweep, look, save := time.NewTicker(sweepEvery), time.NewTicker(lookEvery), time.NewTimer(0)
	defer sweep.Stop()
	defer look.Stop()
	defer save.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.saveChanged()
		case now := <-sweep.C:
			if b.file.resting.Load() {
				b.followFor(ctx, sweepEvery)
			}
			b.sweep(now)
		case <-look.C:
			b.spared.look()
		case <-save.C:
			began := time.Now()
			if err := b.saveChanged(); err != nil {
				b.log.Error("bans not written, trying again", "err", err)
			}
			save.Reset(max(saveSoonest, saveShare*time.Since(began)))
		}
	}
}

// saveChanged writes the book if it has changed.
func (b *Book) saveChanged() error {
	if len(b.file.dirty) == 0 {
		return nil
	}
	return b.save()
}

// followFor follows the file for a time, as long as the book rests.
func (b *Book) followFor(ctx context.Context, d time.Duration) {
	if b.file.path == "" {
		return
	}
	end := time.Now().Add(d)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for b.file.resting.Load() && time.Now().Before(end) {
		b.follow()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Rest writes the book, and leaves that to another process from then on. What it writes is read.
func (b *Book) Rest() {
	b.file.writing <- struct{}{}
	defer func() { <-b.file.writing }()
	if len(b.file.dirty) > 0 {
		if err := b.write(); err != nil {
			b.log.Error("bans not written for the successor", "err", err)
		}
	}
	b.file.resting.Store(true)
}

// Resume takes the book back, because the other process didn't take it.
func (b *Book) Resume() {
	b.file.resting.Store(false)
	b.file.changed()
}

// Resting reports whether the book is another process's.
func (b *Book) Resting() bool { return b.file.resting.Load() }
