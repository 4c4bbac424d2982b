package proxy

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"rhumb"
	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/crowdsec"
	"rhumb/proxy/internal/firewall"
	"rhumb/proxy/internal/wire"
)

// CrowdSec is the local API of CrowdSec. The zero value is none.
type CrowdSec struct {
	URL     string // "http://127.0.0.1:8080"
	KeyFile string // has the key of the bouncer that rhumb is
}

// Book is the book of bans of a proxy.
type Book interface {
	rhumb.BanBook
	rhumb.BanLedger
}

// BookOf returns the book of a proxy in this process.
func BookOf(p *Proxy) Book { return p.bans.book }

// DialBook returns the book of the proxy at the control socket. It connects at each call and keeps no connection.
func DialBook(socket string) Book { return wire.Dial(socket) }

// banning is the bans of a proxy: its book, what the kernel enforces of it, and what CrowdSec decides.
type banning struct {
	book     *bans.Book
	firewall *firewall.Firewall // nil: the kernel enforces nothing
	crowdsec *crowdsec.Bouncer  // nil: it isn't asked
	log      *slog.Logger
}

// newBanning returns bans that do nothing until run. cut ends the connections of a client that can't be refused one
// request after the other.
func newBanning(o Options, cut func(client netip.Prefix)) (*banning, error) {
	b := &banning{log: o.Log}
	deps := bans.Options{Dir: o.State, Trusted: o.TrustedProxies, Cut: cut, Log: o.Log}
	if o.Firewall != "" {
		b.firewall = firewall.New(firewall.Options{Instance: o.Firewall, Log: o.Log})
		deps.Kernel = b.firewall
	}
	b.book = bans.New(deps)
	if o.CrowdSec.URL == "" {
		return b, nil
	}
	var err error
	b.crowdsec, err = crowdsec.New(crowdsec.Options{URL: o.CrowdSec.URL, KeyFile: o.CrowdSec.KeyFile, Version: o.Version,
		Log: o.Log}, b.book)
	return b, err
}

// load takes the bans on disk. A proxy that can't read them serves all the same.
func (b *banning) load() {
	if err := b.book.Load(); err != nil {
		b.log.Error("bans not read, starting without them", "err", err)
	}
}

// serve makes the rules of a table those that count, and its ports those that banned clients don't reach.
func (b *banning) serve(t rhumb.Table) {
	b.book.Serve(t)
	if b.firewall == nil {
		return
	}
	var tcp, udp []uint16
	for _, l := range t.Listeners {
		if l.Protocol == rhumb.UDP {
			udp = append(udp, l.Addr.Port())
		} else {
			tcp = append(tcp, l.Addr.Port())
		}
	}
	slices.Sort(tcp)
	slices.Sort(udp)
	b.firewall.SetPorts(slices.Compact(tcp), slices.Compact(udp))
}

// run keeps the book and the kernel's table until ctx ends.
func (b *banning) run(ctx context.Context) {
	parts := map[string]func(context.Context) error{"bans": b.book.Run}
	if b.firewall != nil {
		parts["firewall"] = b.firewall.Run
	}
	if b.crowdsec != nil {
		parts["crowdsec"] = b.crowdsec.Run
	}
	var running sync.WaitGroup
	for name, part := range parts {
		running.Go(func() {
			if err := part(ctx); err != nil {
				b.log.Error("a part of the bans has ended", "part", name, "err", err)
			}
		})
	}
	running.Wait()
}

// rest leaves the file and the kernel to another proxy. The book follows what that one writes.
func (b *banning) rest() {
	if b.firewall != nil {
		b.firewall.Pause(true)
	}
	if b.crowdsec != nil {
		b.crowdsec.Pause(true)
	}
	b.book.Rest()
}

// resume takes them back.
func (b *banning) resume() {
	b.book.Resume()
	if b.firewall != nil {
		b.firewall.Pause(false)
	}
	if b.crowdsec != nil {
		b.crowdsec.Pause(false)
	}
}

// resting reports whether another proxy has the book.
func (b *banning) resting() bool { return b.book.Resting() }

func (b *banning) status() rhumb.BanStatus {
	st := b.book.Status()
	if b.crowdsec != nil {
		st.CrowdSec = b.crowdsec.Status()
	}
	return st
}
