// Package vip makes service addresses. In each network that a segment names, a network namespace with a port on the
// network's bridge holds the addresses of services, and spreads new connections to them over the ready replicas. See
// DESIGN.md beside this file.
package vip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"rhumb"
	"rhumb/internal/pause"
)

// Options configures Segments.
type Options struct {
	Instance string       // whose namespaces these are, see InstanceOf; required
	Log      *slog.Logger // nil: nothing is logged
}

// Segments makes and repairs segments. What it makes outlives it, and is found again by the next process of the same
// instance.
type Segments struct {
	options Options
	log     *slog.Logger

	mu     sync.Mutex // one look at a time
	wanted []rhumb.Segment
	known  map[string]*segment // by network ID
	owner  bool                // Apply was called: what isn't wanted may be removed

	trying    sync.Mutex
	supported error
	tried     time.Time
}

// New returns Segments that have done nothing yet; Apply and Run do.
func New(o Options) *Segments {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Segments{options: o, log: o.Log, known: map[string]*segment{}}
}

// lookEach is how often Run looks if no link changes, and lookSoonest how long it waits after a change.
const (
	lookEach    = time.Second
	lookSoonest = 50 * time.Millisecond
)

// Apply makes these segments, and removes all others of the instance. It looks at what exists, and is idempotent. It
// returns the errors by network ID, each with the code Unavailable. A segment that can't be made doesn't keep the
// others from being made. Run retries it.
func (s *Segments) Apply(ctx context.Context, ss []rhumb.Segment) map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted, s.owner = slices.Clone(ss), true
	return s.look(ctx, "segment changed")
}

// Run looks every second whether the segments are as the last Apply wanted them, and as soon as a link of the machine
// changes, and repairs them, until ctx ends. It then leaves everything as it is.
func (s *Segments) Run(ctx context.Context) error {
	changes, stop := s.links()
	defer stop()
	tick := time.NewTicker(lookEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changes:
			if !pause.For(ctx, lookSoonest) { // links change in bursts, partly by our own doing
				return nil
			}
		}
		s.mu.Lock()
		if s.owner {
			s.look(ctx, "segment repaired")
		}
		s.mu.Unlock()
	}
}

// Open counts the connections of draining endpoints, and the busy ones among them, by replica ID, over all segments.
// Where they can't be counted there may be some: it counts one, so that the drain's limit decides.
func (s *Segments) Open(ctx context.Context) (open, busy map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &tally{open: map[string]int{}, busy: map[string]int{}}
	for _, seg := range s.wanted {
		if !draining(seg.Services) || ctx.Err() != nil {
			continue
		}
		if err := s.count(seg, n); err != nil {
			s.log.Error("connections not counted", "network", seg.Network, "err", err)
			for _, svc := range seg.Services {
				for _, e := range svc.Endpoints {
					if e.Draining {
						n.open[e.Replica]++
						n.busy[e.Replica]++
					}
				}
			}
		}
	}
	return n.open, n.busy
}

func (s *Segments) count(seg rhumb.Segment, n *tally) error {
	ns, err := lookNamespace(namespaceName(s.options.Instance, seg.ID))
	if isNotExist(err) {
		return nil // and no connections either
	}
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	return within(ns, func() error { return count(seg, n) })
}

// look makes all that is wanted and removes the rest. The caller holds mu.
func (s *Segments) look(ctx context.Context, words string) map[string]error {
	errs := map[string]error{}
	for _, seg := range s.wanted {
		if err := s.lookAt(ctx, seg, words); err != nil {
			errs[seg.ID] = err
		}
	}
	if ctx.Err() == nil {
		if err := s.prune(); err != nil {
			s.log.Error("leftovers not removed", "err", err)
		}
	}
	return errs
}

func (s *Segments) lookAt(ctx context.Context, seg rhumb.Segment, words string) error {
	if err := ctx.Err(); err != nil {
		return unavailable(seg, context.Cause(ctx))
	}
	known := s.known[seg.ID]
	if known == nil {
		known = &segment{}
		s.known[seg.ID] = known
	}
	m := &making{segment: known, instance: s.options.Instance, want: seg}
	err := m.make()
	switch {
	case err != nil:
		err = unavailable(seg, err)
		if known.failed != err.Error() {
			s.log.Error("segment not made, retrying", "network", seg.Network, "err", err)
		}
		known.failed = err.Error()
		return err
	case known.failed != "" || m.fresh:
		words, m.repaired = "segment made", []string{"all"}
	case len(m.repaired) == 0:
		return nil
	}
	known.failed = ""
	s.log.Info(words, "network", seg.Network, "stack", seg.Stack, "what", strings.Join(m.repaired, ", "))
	return nil
}

func unavailable(seg rhumb.Segment, err error) error {
	return rhumb.Errorf(rhumb.Unavailable, "network %s: its service addresses can't be made: %w", seg.Network, err)
}

// prune removes what is the instance's and isn't wanted.
func (s *Segments) prune() error {
	wanted := map[string]bool{}
	ids := map[string]bool{}
	for _, seg := range s.wanted {
		wanted[namespaceName(s.options.Instance, seg.ID)], ids[seg.ID] = true, true
	}
	for id := range s.known {
		if !ids[id] {
			delete(s.known, id)
		}
	}
	names, err := namespaces(prefix(s.options.Instance))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if wanted[name] || isScratch(name) {
			continue
		}
		errs = append(errs, removeLinks(name), removeNamespace(name))
		s.log.Info("segment removed", "namespace", name)
	}
	return errors.Join(errs...)
}

// removeLinks removes a namespace's ports on bridges at once. Otherwise they would go with it, but a moment later.
func removeLinks(namespace string) error {
	ls, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list links: %w", err)
	}
	for _, l := range ls {
		if l.Attrs().Alias != namespace || l.Type() != "veth" {
			continue
		}
		if err := netlink.LinkDel(l); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove link %s: %w", l.Attrs().Name, err)
		}
	}
	return nil
}

// links signals changes of the machine's links: our ports disappear with their namespaces, bridges come with the
// engine.
func (s *Segments) links() (changes <-chan struct{}, stop func()) {
	updates, done, out := make(chan netlink.LinkUpdate, 64), make(chan struct{}), make(chan struct{}, 1)
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		ErrorCallback: func(err error) { s.log.Debug("link events lost", "err", err) }})
	if err != nil {
		s.log.Warn("link events unavailable, polling every second", "err", err)
		close(done)
		return nil, func() {}
	}
	var forward sync.WaitGroup
	forward.Go(func() {
		for u := range updates { // closed after done, or when the kernel's messages can't be read any more
			if a := u.Attrs(); u.Type() != "bridge" && !strings.HasPrefix(a.Name, linkPrefix) {
				continue // containers come and go
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	})
	return out, func() { close(done); forward.Wait() }
}
