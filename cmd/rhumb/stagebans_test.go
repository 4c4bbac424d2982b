package main

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"rhumb"
)

// banBook is the stage's book of bans.
type banBook struct {
	mu   sync.Mutex
	bans []rhumb.Ban
}

func (b *banBook) Bans(context.Context) ([]rhumb.Ban, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bans, nil
}

func (b *banBook) Ban(_ context.Context, o rhumb.BanOrder) (rhumb.Ban, error) {
	if o.Client.Addr().IsPrivate() && !o.Private {
		return rhumb.Ban{}, rhumb.Errorf(rhumb.Denied, "%s isn't banned: it is in a private network",
			rhumb.ClientText(o.Client))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ban := rhumb.Ban{Client: o.Client, Reference: "K7QW-3MZA", Reason: o.Reason, By: "ada", Since: hoursAgo(1),
		Refused: 31}
	if o.For > 0 {
		ban.Until = time.Now().Add(o.For + time.Minute)
	}
	b.bans = append(b.bans, ban)
	return ban, nil
}

func (b *banBook) Unban(_ context.Context, client netip.Prefix) ([]rhumb.Ban, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, ban := range b.bans {
		if ban.Client == client {
			b.bans = append(b.bans[:i:i], b.bans[i+1:]...)
			return []rhumb.Ban{ban}, nil
		}
	}
	return nil, rhumb.Errorf(rhumb.NotFound, "%s isn't banned", rhumb.ClientText(client))
}

func (b *banBook) WhyBanned(_ context.Context, a netip.Addr) (rhumb.BanAnswer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := rhumb.BanAnswer{Addr: a, Counts: []rhumb.BanCount{{Stack: "shop", Service: "web", Rule: "login", Matches: 2,
		Count: 5, In: 10 * time.Minute, Last: hoursAgo(0)}}}
	for _, ban := range b.bans {
		if ban.Client.Contains(a) && (answer.Ban == nil || ban.Client.Bits() > answer.Ban.Client.Bits()) {
			answer.Ban, answer.Past = &ban, 2
		}
	}
	if a.IsPrivate() {
		answer.Spared, answer.Counts = "it is in a private network", nil
	}
	return answer, nil
}
