// Package forward sends log lines to other systems: syslog, GELF, Fluentd, Loki, OTLP and Elasticsearch. Each
// destination has a queue of its own on disk, so that a receiver that is away costs no lines, and costs neither the
// caller nor another destination any time. docs/forwarders.md describes the URLs.
package forward

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"rhumb"
	"rhumb/observe/forward/internal/protocol"
	"rhumb/observe/forward/internal/spool"
)

// DefaultLimit is how many bytes of a destination's lines wait on disk at most, if Options don't say.
const DefaultLimit = 256 << 20

// Options configure a Forwarder.
type Options struct {
	Dir   string       // the queues' folder; it is created
	URLs  []string     // the destinations
	Limit int64        // bytes of each destination's queue on disk; 0: DefaultLimit
	Host  string       // this machine's name in the lines; "": os.Hostname
	Log   *slog.Logger // nil: slog.Default
}

// Forwarder sends lines to its destinations while Run runs.
type Forwarder struct {
	destinations []*destination
}

// CheckURLs returns an Invalid error if a destination's URL can't be used, or if two are of one destination. It doesn't
// read the files that they name.
func CheckURLs(urls ...string) error {
	_, err := parse(urls)
	return err
}

// parse returns what the URLs say.
func parse(urls []string) ([]protocol.Config, error) {
	var all []protocol.Config
	for _, url := range urls {
		c, err := protocol.Parse(url)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o protocol.Config) bool { return o.Name == c.Name }) {
			return nil, rhumb.Errorf(rhumb.Invalid, "log destination %s: it is configured twice", c.Name).
				WithHint("remove one; parameters and credentials don't make two destinations of one address")
		}
		all = append(all, c)
	}
	return all, nil
}

// New opens the queues. It starts nothing. Invalid: a URL, or a file that it names, can't be used; Internal: a queue
// can't be opened.
func New(o Options) (*Forwarder, error) {
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // without one, lines have no host
	}
	configs, err := parse(o.URLs)
	if err != nil {
		return nil, err
	}
	f, folders := &Forwarder{}, map[string]bool{}
	for _, c := range configs {
		d, err := newDestination(o, c)
		if err != nil {
			f.close()
			return nil, err
		}
		folders[folderOf(c.Name)] = true
		f.destinations = append(f.destinations, d)
	}
	warnOfOthers(o, folders)
	return f, nil
}

// newDestination opens the queue of a destination.
func newDestination(o Options, c protocol.Config) (*destination, error) {
	if _, err := c.Sender(protocol.Deps{}); err != nil { // before there is a folder
		return nil, err
	}
	q, err := spool.Open(filepath.Join(o.Dir, folderOf(c.Name)), o.Limit)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "log destination %s: its queue can't be opened: %w", c.Name, err)
	}
	s, err := c.Sender(protocol.Deps{Host: o.Host, Queue: q.ID()})
	if err != nil {
		return nil, err
	}
	return &destination{
		name: c.Name, queue: q, sender: s, log: o.Log.With("destination", c.Name),
		wake: make(chan struct{}, 1), more: make(chan struct{}, 1), syncs: make(chan chan struct{}),
	}, nil
}

// folderOf returns the name of a destination's folder.
func folderOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	readable := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	return readable[:min(len(readable), 80)] + "-" + hex.EncodeToString(sum[:6])
}

// warnOfOthers logs the queues whose destinations aren't configured any more.
func warnOfOthers(o Options, folders map[string]bool) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return // without a destination there may be no folder
	}
	for _, e := range entries {
		if e.IsDir() && !folders[e.Name()] {
			o.Log.Warn("log queue has no destination any more, remove its folder if its lines aren't needed",
				"folder", filepath.Join(o.Dir, e.Name()))
		}
	}
}

func (f *Forwarder) close() {
	for _, d := range f.destinations {
		_ = d.queue.Close() // nothing has been written
	}
}

// Append passes lines to the queues. It never waits for a disk or a receiver and keeps no reference to the lines.
// What a queue has no room for counts as lost. Before Run begins, lines wait in memory.
func (f *Forwarder) Append(lines []rhumb.LogLine) {
	if len(f.destinations) == 0 || len(lines) == 0 {
		return
	}
	records := make([][]byte, len(lines))
	var b []byte
	for i, l := range lines {
		start := len(b)
		b = appendLine(b, l)
		records[i] = b[start:len(b):len(b)]
	}
	for _, d := range f.destinations {
		d.offer(records)
	}
}

// Sync returns once all lines that were appended are on disk or counted as lost, or when ctx ends. Run must be running.
func (f *Forwarder) Sync(ctx context.Context) error {
	for _, d := range f.destinations {
		if err := d.sync(ctx); err != nil {
			return fmt.Errorf("sync the queue of %s: %w", d.name, err)
		}
	}
	return nil
}

// Run sends lines until ctx ends. It then finishes the batches that are on their way, for a few seconds at most, writes
// the lines that were appended to disk, and closes the queues. It is called once.
func (f *Forwarder) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, d := range f.destinations {
		wg.Go(func() { d.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Status returns how each destination is doing, in the order of the configuration. The list is never nil.
func (f *Forwarder) Status() []rhumb.LogDestination {
	all := make([]rhumb.LogDestination, 0, len(f.destinations))
	for _, d := range f.destinations {
		all = append(all, d.status())
	}
	return all
}
