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
		case <-save.C:
			began := time.Now()
			if err := b.file.saveChanged(); err != nil {
				b.log.Error("bans not written, trying again", "err", err)
			}
			save.Reset(max(saveSoonest, saveShare*time.Since(began)))
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
