// Package firewall has the kernel drop what banned clients send to the proxy's ports: with a table of nftables of its
// own, whose elements end with their bans. Nothing else on the machine changes. It works beside any other firewall,
// because a packet that one table drops is dropped.
package firewall

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a Firewall.
type Options struct {
	Instance string       // whose table it is; required
	Log      *slog.Logger // nil: nothing is logged
}

// Firewall keeps the table of an instance. The table outlives it.
type Firewall struct {
	options Options
	log     *slog.Logger
	wake    chan struct{}
	paused  atomic.Bool
	failed  atomic.Pointer[string] // why the kernel can't; nil: it can, or it was not asked yet

	mu      sync.Mutex             // never held over I/O
	wanted  map[netip.Prefix]int64 // Unix nanoseconds; the greatest number: until Unban
	tcp     []uint16
	udp     []uint16
	pending []change
	behind  bool // there are more changes than pending has: all is made again
}

// change is one change of what is wanted.
type change struct {
	client netip.Prefix
	until  int64
	ends   bool
	fresh  bool // it begins, and there was none before
}

// maxPending bounds the changes that wait.
const maxPending = 10_000

// New returns a Firewall that does nothing until Run.
func New(o Options) *Firewall {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Firewall{options: o, log: o.Log, wake: make(chan struct{}, 1), wanted: map[netip.Prefix]int64{},
		behind: true}
}

// Bits of the networks that the kernel knows. Other ranges are refused by the proxy alone.
const (
	bits4 = 32
	bits6 = 64
)

func known(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() == bits4 || p.Addr().Is6() && p.Bits() == bits6
}

// Ban has the kernel drop what a client sends to the ports, until the time; zero: until Unban. It doesn't wait for it.
// The client is an IPv4 address or an IPv6 network of 64 bits; other ranges are ignored.
func (f *Firewall) Ban(client netip.Prefix, until time.Time) {
	if !known(client) {
		return
	}
	end := int64(math.MaxInt64)
	if !until.IsZero() && until.Year() < 2200 {
		end = until.UnixNano()
	}
	f.mu.Lock()
	_, was := f.wanted[client]
	f.wanted[client] = end
	f.note(change{client: client, until: end, fresh: !was})
	f.mu.Unlock()
}

// Unban ends that. It doesn't wait for it.
func (f *Firewall) Unban(client netip.Prefix) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, is := f.wanted[client]; is {
		delete(f.wanted, client)
		f.note(change{client: client, ends: true})
	}
}

// SetPorts makes these the ports that banned clients don't reach.
func (f *Firewall) SetPorts(tcp, udp []uint16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Equal(f.tcp, tcp) && slices.Equal(f.udp, udp) {
		return
	}
	f.tcp, f.udp, f.behind = slices.Clone(tcp), slices.Clone(udp), true
	f.signal()
}

// note has Run make a change. The caller holds mu.
func (f *Firewall) note(c change) {
	if !f.behind {
		f.pending = append(f.pending, c)
	}
	if len(f.pending) > maxPending {
		f.pending, f.behind = nil, true
	}
	f.signal()
}

func (f *Firewall) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Supported returns why the kernel can't drop what banned clients send. "": it can, as far as is known.
func (f *Firewall) Supported() string {
	if why := f.failed.Load(); why != nil {
		return *why
	}
	return ""
}

// Pause has Run change nothing any more, because another process does, until it is called with false.
func (f *Firewall) Pause(pause bool) {
	f.paused.Store(pause)
	if !pause {
		f.mu.Lock()
		f.behind = true
		f.mu.Unlock()
		f.signal()
	}
}

const (
	checkEvery = time.Second
	checkAll   = 10 * time.Second // between two looks at all elements
	tryAgain   = time.Minute      // after the kernel has refused
)

// Run makes the table, and makes it again when something else has changed it, until ctx ends. It leaves the table as
// it is then. While there is no ban there is no table.
func (f *Firewall) Run(ctx context.Context) error {
	k := kernel{name: tableName(f.options.Instance)}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	var refused time.Time
	for {
		check := false
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
		case <-tick.C:
			check = true
		}
		if f.paused.Load() || time.Since(refused) < tryAgain {
			continue
		}
		err := f.turn(&k, check)
		switch was := f.failed.Load(); {
		case err == nil && was != nil:
			f.failed.Store(nil)
			f.log.Info("banned clients are dropped in the kernel again")
		case err != nil:
			refused = time.Now()
			f.behindAgain()
			if why := words(err); was == nil || *was != why {
				f.failed.Store(&why)
				f.log.Warn("banned clients are not dropped in the kernel, only in the proxy", "err", err)
			}
		}
	}
}

// turn brings the kernel to what is wanted, or with check looks whether it still is there.
func (f *Firewall) turn(k *kernel, check bool) error {
	want, changes, all := f.take()
	switch {
	case len(want.clients) == 0 && all:
		had := k.made
		if err := k.remove(); had {
			return err
		}
		return nil // an earlier process may have left a table, or this machine may have none at all
	case all:
		return k.make(want)
	case len(changes) > 0:
		if err := k.change(changes); err != nil {
			f.log.Debug("elements not changed, making the table again", "err", err)
			f.behindAgain()
			want, _, _ = f.take()
			return k.make(want)
		}
	case check && k.made:
		return f.check(k)
	}
	return nil
}

// check makes the table again if something else has changed it.
func (f *Firewall) check(k *kernel) error {
	sound, err := k.sound(f.clients)
	if err == nil && sound {
		return nil
	}
	f.log.Info("table of bans repaired", "table", k.name, "err", err)
	f.behindAgain()
	want, _, _ := f.take()
	return k.make(want)
}

// wanted is everything that the table is to have.
type wanted struct {
	clients  map[netip.Prefix]int64
	tcp, udp []uint16
}

// take returns the changes since the last call, or all that is wanted. It forgets the clients whose time is over; when
// the last one goes, that is all.
func (f *Firewall) take() (want wanted, changes []change, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, now := len(f.wanted), time.Now().UnixNano()
	if f.behind || len(f.pending) == 0 {
		for client, until := range f.wanted {
			if until <= now {
				delete(f.wanted, client)
			}
		}
	}
	f.behind = f.behind || before > 0 && len(f.wanted) == 0
	changes, all = f.pending, f.behind
	f.pending, f.behind = nil, false
	if all {
		want = wanted{f.copy(), f.tcp, f.udp}
	}
	return want, changes, all
}

// copy returns a copy of the wanted clients. The caller holds mu.
func (f *Firewall) copy() map[netip.Prefix]int64 {
	m := make(map[netip.Prefix]int64, len(f.wanted))
	for client, until := range f.wanted {
		m[client] = until
	}
	return m
}

// clients returns the wanted clients.
func (f *Firewall) clients() map[netip.Prefix]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.copy()
}

func (f *Firewall) behindAgain() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behind = true
}

// Remove removes the table of an instance, if there is one.
func Remove(instance string) error {
	k := kernel{name: tableName(instance)}
	return k.remove()
}

func tableName(instance string) string { return "rhumb_bans_" + instance }

var errGone = errors.New("the table, its chain or an element is gone")
