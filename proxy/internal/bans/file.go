package bans

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/atomicfile"
)

// file is where the book is kept.
type file struct {
	path    string // "": nowhere
	inForce *inForce
	spared  *spared
	log     *slog.Logger
	writing chan struct{} // has an element while this process writes
	resting atomic.Bool   // another process writes; this one reads
	stamp   fileStamp     // of what was read last; the holder of writing has it
}

type fileStamp struct {
	at   time.Time
	size int64
}

const (
	fileName = "bans.json"
	maxFile  = 256 << 20
)

func newFile(dir string, in *inForce, who *spared, log *slog.Logger) *file {
	f := &file{inForce: in, spared: who, log: log, writing: make(chan struct{}, 1)}
	if dir != "" {
		f.path = filepath.Join(dir, fileName)
	}
	return f
}

// content is the content of the file.
type content struct {
	Bans   []rhumb.Ban              `json:",omitzero"`
	Past   []pastBan                `json:",omitzero"`
	Spared map[netip.Addr]time.Time `json:",omitzero"`
}

// pastBan is what is remembered of a client's bans.
type pastBan struct {
	Client netip.Prefix
	remembered
}

// content returns what is to be written.
func (f *file) content() content {
	c := content{Bans: f.inForce.all(), Spared: f.spared.now(time.Now())}
	f.inForce.mu.Lock()
	defer f.inForce.mu.Unlock()
	for client, r := range f.inForce.past {
		c.Past = append(c.Past, pastBan{client, r})
	}
	return c
}

// save writes the book.
func (f *file) save() error {
	f.writing <- struct{}{}
	defer func() { <-f.writing }()
	return f.write()
}

// saveChanged writes the book if it has changed.
func (f *file) saveChanged() error {
	if !f.inForce.dirty.Load() {
		return nil
	}
	return f.save()
}

// write writes the book, unless it rests. The caller has writing.
func (f *file) write() error {
	if f.path == "" || f.resting.Load() {
		return nil
	}
	f.inForce.dirty.Store(false) // what changes from here on is written the next time
	text, err := json.Marshal(f.content())
	if err == nil {
		err = atomicfile.Write(f.path, text, 0o600)
	}
	if err != nil {
		f.inForce.changed()
		return rhumb.Errorf(rhumb.Unavailable, "the bans can't be kept: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// load takes the bans on disk. A file that can't be parsed is set aside, not deleted.
func (f *file) load() error {
	if f.path == "" {
		return nil
	}
	f.writing <- struct{}{}
	defer func() { <-f.writing }()
	text, err := atomicfile.Read(f.path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "the bans can't be read: %w", err)
	}
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		aside := f.path + "." + time.Now().UTC().Format("20060102T150405") + ".bad"
		f.log.Warn("bans on disk can't be parsed: set aside, starting without them", "file", aside, "err", err)
		if err := os.Rename(f.path, aside); err != nil {
			return rhumb.Errorf(rhumb.Internal, "the bans can't be set aside: %w", err)
		}
		return nil
	}
	f.take(c)
	return nil
}

// take makes the content that of the book. Bans that both have stay as they are. Clients that are never banned by now
// are not banned; whether one in a private network may be is not asked again.
func (f *file) take(c content) {
	for a, until := range c.Spared {
		f.spared.use(a, until)
	}
	listed := make(map[netip.Prefix]bool, len(c.Bans))
	now := time.Now()
	for _, ban := range c.Bans {
		ban.Client = normal(ban.Client)
		if ban.Ended(now) {
			continue
		}
		if why := f.spared.why(ban.Client, true, now); why != "" {
			f.log.Warn("ban dropped", "client", ban.Client, "why", why, "reference", ban.Reference)
			continue
		}
		listed[ban.Client] = true
		f.inForce.begin(ban, func(old rhumb.Ban) bool { return old.Reference == ban.Reference })
	}
	for _, ban := range f.inForce.all() {
		if !listed[ban.Client] {
			f.inForce.end(ban.Client, func(o rhumb.Ban) bool { return o.Client == ban.Client })
		}
	}
	f.inForce.mu.Lock()
	f.inForce.past = make(past, len(c.Past))
	for _, p := range c.Past {
		f.inForce.past[p.Client] = p.remembered
	}
	f.inForce.mu.Unlock()
	f.inForce.dirty.Store(false) // it is on disk
}

// follow reads the file if another process has written it since.
func (f *file) follow() {
	info, err := os.Stat(f.path)
	if err != nil {
		return
	}
	stamp := fileStamp{info.ModTime(), info.Size()}
	f.writing <- struct{}{}
	same := f.stamp == stamp
	f.stamp = stamp
	<-f.writing
	if same {
		return
	}
	if err := f.load(); err != nil {
		f.log.Warn("bans of the successor not read", "err", err)
	}
}

// followFor follows the file for a time, as long as the book rests.
func (f *file) followFor(ctx context.Context, d time.Duration) {
	if f.path == "" {
		return
	}
	end := time.Now().Add(d)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for f.resting.Load() && time.Now().Before(end) {
		f.follow()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// rest writes the book, and leaves that to another process from then on. What it writes is read.
func (f *file) rest() {
	f.writing <- struct{}{}
	defer func() { <-f.writing }()
	if f.inForce.dirty.Load() {
		if err := f.write(); err != nil {
			f.log.Error("bans not written for the successor", "err", err)
		}
	}
	f.resting.Store(true)
}

// resume takes the book back, because the other process didn't take it.
func (f *file) resume() {
	f.resting.Store(false)
	f.inForce.changed()
}
