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
	saveAgain   = 5 * time.Second // after a failure
	saveShare   = 20              // between two writes there is so many times the time that one takes
)

// Run ends bans that are over and writes the book when it has changed, until ctx ends, and once more then.
func (b *Book) Run(ctx context.Context) error {
	sweep, look := time.NewTicker(sweepEvery), time.NewTicker(lookEvery)
	defer sweep.Stop()
	defer look.Stop()
	var save <-chan time.Time // nil: there is nothing to write
	soon := saveSoonest
	for {
		select {
		case <-ctx.Done():
			return b.file.saveChanged()
		case now := <-sweep.C:
			if b.file.resting.Load() {
				b.file.followFor(ctx, sweepEvery)
			}
			b.inForce.sweep(now)
		case <-look.C:
			for _, a := range b.spared.look() {
				endFor(b, a, "rhumb, whose machine has this address now")
			}
		case <-b.inForce.wake:
			if save == nil {
				save = time.After(soon)
			}
		case <-save:
			began := time.Now()
			save = nil
			err := b.file.saveChanged()
			if soon = max(saveSoonest, saveShare*time.Since(began)); err != nil { // which wakes this again
				b.log.Error("bans not written, trying again", "err", err)
				soon = saveAgain
			}
		}
	}
}

// Load takes the bans on disk. A file that can't be parsed is set aside, not deleted.
func (b *Book) Load() error {
	b.spared.look()
	return b.file.load()
}

// Rest writes the book, and leaves that to another process from then on. What it writes is read.
func (b *Book) Rest() { b.file.rest() }

// Resume takes the book back, because the other process didn't take it.
func (b *Book) Resume() { b.file.resume() }

// Resting reports whether the book is another process's.
func (b *Book) Resting() bool { return b.file.resting.Load() }
