package bans

import (
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
	log     *slog.Logger
	writing chan struct{} // has an element while a process of ours writes
	dirty   chan struct{} // has an element when there is something to write
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

func newFile(dir string, log *slog.Logger) *file {
	f := &file{log: log, writing: make(chan struct{}, 1), dirty: make(chan struct{}, 1)}
	if dir != "" {
		f.path = filepath.Join(dir, fileName)
	}
	return f
}

// changed has the book written soon.
func (f *file) changed() {
	select {
	case f.dirty <- struct{}{}:
	default:
	}
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
func (b *Book) content() content {
	c := content{Bans: b.all(), Spared: b.spared.now(time.Now())}
	b.mu.Lock()
	defer b.mu.Unlock()
	for client, r := range b.past {
		c.Past = append(c.Past, pastBan{client, r})
	}
	return c
}

// save writes the book.
func (b *Book) save() error {
	b.file.writing <- struct{}{}
	defer func() { <-b.file.writing }()
	return b.write()
}

// write writes the book, unless it rests. The caller has writing.
func (b *Book) write() error {
	f := b.file
	if f.path == "" || f.resting.Load() {
		return nil
	}
	select {
	case <-f.dirty: // what changes from here on is written the next time
	default:
	}
	text, err := json.Marshal(b.content())
	if err == nil {
		err = atomicfile.Write(f.path, text, 0o600)
	}
	if err != nil {
		f.changed()
		return rhumb.Errorf(rhumb.Unavailable, "the bans can't be kept: %w", err).WithHint("is the disk full?")
	}
	return nil
}

// Load takes the bans on disk. A file that can't be parsed is set aside, not deleted.
func (b *Book) Load() error {
	b.spared.look()
	f := b.file
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
	b.take(c)
	return nil
}

// take makes the content that of the book. Bans that both have stay as they are.
func (b *Book) take(c content) {
	listed := make(map[netip.Prefix]bool, len(c.Bans))
	now := time.Now()
	for _, ban := range c.Bans {
		ban.Client = normal(ban.Client)
		listed[ban.Client] = true
		if ban.Client.IsValid() && !ban.Ended(now) {
			b.begin(ban, func(old rhumb.Ban) bool { return old.Reference == ban.Reference })
		}
	}
	for _, ban := range b.all() {
		if !listed[ban.Client] {
			b.end(ban.Client, func(o rhumb.Ban) bool { return o.Client == ban.Client })
		}
	}
	b.mu.Lock()
	b.past = make(past, len(c.Past))
	for _, p := range c.Past {
		b.past[p.Client] = p.remembered
	}
	b.mu.Unlock()
	for a, until := range c.Spared {
		b.spared.use(a, until)
	}
	select {
	case <-b.file.dirty: // it is on disk
	default:
	}
}

// follow reads the file if another process has written it since.
func (b *Book) follow() {
	f := b.file
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
	if err := b.Load(); err != nil {
		f.log.Warn("bans of the successor not read", "err", err)
	}
}
