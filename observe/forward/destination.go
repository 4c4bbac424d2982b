package forward

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/observe/forward/internal/protocol"
	"rhumb/observe/forward/internal/spool"
)

const (
	maxPending = 8 << 20 // bytes of lines that wait in memory for the disk

	batchLines = 1000
	batchBytes = 1 << 20
	linger     = time.Second // how long a batch waits for more lines
	syncEvery  = time.Second // how often written lines are synced

	firstPause = 500 * time.Millisecond
	maxPause   = time.Minute
	lastWords  = 5 * time.Second // how long the end of Run waits for a batch that is on its way
)

// destination is a receiver with its queue. Two goroutines serve it: one writes lines to disk, one sends them.
type destination struct {
	name   string
	queue  *spool.Queue
	sender protocol.Sender
	log    *slog.Logger

	wake  chan struct{} // lines are pending
	more  chan struct{} // lines are in the queue
	syncs chan chan struct{}

	mu      sync.Mutex
	pending [][]byte
	bytes   int  // of pending
	over    bool // the writer has ended

	lastError    string
	lastErrorAt  time.Time
	failingSince time.Time
	full         bool // the queue can't take lines: logged
}

// offer takes records for the writer, as many as there is room for.
func (d *destination) offer(records [][]byte) {
	d.mu.Lock()
	n := 0
	for n < len(records) && d.bytes+len(records[n]) <= maxPending && !d.over {
		d.bytes += len(records[n])
		n++
	}
	d.pending = append(d.pending, records[:n]...)
	d.mu.Unlock()
	if n < len(records) {
		d.queue.Lose(len(records) - n)
	}
	signal(d.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sync returns once the writer has written and synced what is pending.
func (d *destination) sync(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case d.syncs <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run serves the destination until ctx ends.
func (d *destination) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { d.write(ctx) })
	wg.Go(func() { d.forward(ctx) })
	wg.Wait()
	d.sender.Close()
	if err := d.queue.Close(); err != nil {
		d.log.Warn("log queue not saved, lines may be sent twice", "err", err)
	}
}

// write moves pending lines to disk until ctx ends.
func (d *destination) write(ctx context.Context) {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	dirty := false
	for {
		select {
		case <-d.wake:
			dirty = d.store(false) || dirty
		case done := <-d.syncs:
			d.store(false)
			dirty = d.syncQueue()
			close(done)
		case <-tick.C:
			if dirty {
				dirty = d.syncQueue()
			}
		case <-ctx.Done():
			d.store(true)
			return // run closes the queue, which syncs it
		}
	}
}

// syncQueue syncs what was written. It returns false: nothing is left to sync, also after an error.
func (d *destination) syncQueue() bool {
	if err := d.queue.Sync(); err != nil {
		d.queueFailed(err, 0)
	}
	return false
}

// store writes the pending lines and reports whether there were any. The last call ends the taking of lines.
func (d *destination) store(last bool) bool {
	d.mu.Lock()
	records := d.pending
	d.pending, d.bytes, d.over = nil, 0, last
	d.mu.Unlock()
	if len(records) == 0 {
		return false
	}
	n, err := d.queue.Append(records)
	if err != nil {
		d.queue.Lose(len(records) - n)
		d.queueFailed(err, len(records)-n)
	} else {
		d.mu.Lock()
		d.full = false
		d.mu.Unlock()
	}
	if n > 0 {
		signal(d.more)
	}
	return n > 0
}

// queueFailed notes that the disk failed. A disk that stays full is logged once.
func (d *destination) queueFailed(err error, lost int) {
	d.mu.Lock()
	logged := d.full
	d.full, d.lastError, d.lastErrorAt = true, err.Error(), time.Now()
	d.mu.Unlock()
	if !logged {
		d.log.Error("log queue can't be written, lines are lost", "err", err, "lines", lost)
	}
}

// forward sends what the queue has until ctx ends.
func (d *destination) forward(ctx context.Context) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	for ctx.Err() == nil {
		if d.queue.Stats().Lines < batchLines {
			pause.For(ctx, linger)
		}
		b := d.queue.Read(batchLines, batchBytes)
		if len(b.Records) > 0 {
			if ctx.Err() == nil {
				d.deliver(ctx, sending, b)
			}
			continue
		}
		select {
		case <-d.more:
		case <-ctx.Done():
		}
	}
}

// deliver sends a batch until the receiver has taken or refused all of it, or ctx ends. An attempt that has begun may
// go on until sending ends.
func (d *destination) deliver(ctx, sending context.Context, b spool.Batch) {
	left, refused := decode(b)
	for tries := 0; len(left) > 0; {
		r := d.sender.Send(sending, left)
		refused += r.Refused
		if len(r.Left) < len(left) {
			tries = 0
		}
		left = r.Left
		d.note(r, refused)
		if len(left) == 0 {
			break
		}
		if r.Err != nil {
			pause.For(ctx, max(r.After, backoff(tries)))
			tries++
		}
		if ctx.Err() != nil {
			return
		}
	}
	if err := d.queue.Commit(b, refused); err != nil {
		d.queueFailed(err, 0)
	}
}

// decode returns the lines of a batch, and how many of its records aren't lines.
func decode(b spool.Batch) (lines []protocol.Line, damaged int) {
	lines = make([]protocol.Line, 0, len(b.Records))
	for i, r := range b.Records {
		l, err := decodeLine(r)
		if err != nil {
			damaged++
			continue
		}
		lines = append(lines, protocol.Line{LogLine: l, Number: b.First + uint64(i)})
	}
	return lines, damaged
}

// note remembers and logs what became of an attempt. A receiver that stays away is logged once.
func (d *destination) note(r protocol.Result, refused int) {
	at := time.Now()
	d.mu.Lock()
	before := d.failingSince
	switch {
	case r.Err == nil || len(r.Left) == 0:
		d.failingSince = time.Time{}
	case before.IsZero():
		d.failingSince = at
	}
	now := d.failingSince
	if r.Err != nil {
		d.lastError, d.lastErrorAt = r.Err.Error(), at
	}
	d.mu.Unlock()
	switch {
	case before.IsZero() && !now.IsZero():
		d.log.Warn("log destination fails, retrying", "err", r.Err)
	case !before.IsZero() && now.IsZero():
		d.log.Info("log destination takes lines again", "since", before)
	}
	if r.Refused > 0 {
		d.log.Warn("log destination refused lines, they are lost", "lines", refused, "err", r.Err)
	}
}

// backoff returns a pause after so many failed attempts: half of it, or more.
func backoff(tries int) time.Duration {
	d := min(maxPause, firstPause<<min(tries, 10))
	return d/2 + rand.N(d/2+1)
}

func (d *destination) status() rhumb.LogDestination {
	s := d.queue.Stats()
	d.mu.Lock()
	defer d.mu.Unlock()
	return rhumb.LogDestination{
		URL: d.name, Sent: s.Sent, Lost: s.Lost, WaitingLines: s.Lines, WaitingBytes: s.Bytes,
		FailingSince: d.failingSince, LastError: d.lastError, LastErrorAt: d.lastErrorAt,
	}
}
