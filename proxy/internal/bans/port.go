package bans

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

var (
	_ rhumb.BanBook   = (*Book)(nil)
	_ rhumb.BanLedger = (*Book)(nil)
)

// Bans implements rhumb.BanBook.
func (b *Book) Bans(context.Context) ([]rhumb.Ban, error) {
	list := b.inForce.all()
	slices.SortFunc(list, func(a, b rhumb.Ban) int { return b.Since.Compare(a.Since) })
	return list, nil
}

// Ban implements rhumb.BanBook.
func (b *Book) Ban(_ context.Context, o rhumb.BanOrder) (rhumb.Ban, error) {
	client := normal(o.Client)
	now := time.Now()
	switch why := b.spared.why(client, o.Private, now); {
	case !client.IsValid() || o.For < 0:
		return rhumb.Ban{}, rhumb.Errorf(rhumb.Invalid, "%s can't be banned for %s", o.Client, o.For).
			WithHint("write an address such as 203.0.113.7, or a range such as 203.0.113.0/24")
	case why == isPrivate:
		return rhumb.Ban{}, rhumb.Errorf(rhumb.Denied, "%s isn't banned: %s", rhumb.ClientText(client), why).
			WithHint("ban it all the same with --private, if it stands for one client")
	case why != "":
		return rhumb.Ban{}, rhumb.Errorf(rhumb.Denied, "%s isn't banned: %s", rhumb.ClientText(client), why)
	}
	ban := rhumb.Ban{Client: client, Reference: newReference(), Reason: o.Reason, By: o.By, Since: now}
	if ban.By == "" {
		ban.By = "a user" // or it would be a rule's
	}
	if o.For > 0 {
		ban.Until = now.Add(o.For)
	}
	ban, _ = b.inForce.begin(ban, nil)
	if b.spared.usedFrom(client, now) { // Spare has just come, and may not have seen the ban
		b.inForce.end(client, func(rhumb.Ban) bool { return true })
		return rhumb.Ban{}, rhumb.Errorf(rhumb.Denied, "%s isn't banned: %s", rhumb.ClientText(client), isUsers)
	}
	b.log.Info("client banned", "client", client, "by", o.By, "for", o.For, "reference", ban.Reference)
	b.news.add(rhumb.BanNote{Ban: ban, By: o.By})
	return ban, b.file.save()
}

// normal returns the prefix that is banned: masked, and for a part of an IPv6 network of 64 bits all of it.
func normal(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Addr().Is6() && p.Bits() > bits6 {
		p = netip.PrefixFrom(p.Addr(), bits6)
	}
	return p.Masked()
}

// Unban implements rhumb.BanBook.
func (b *Book) Unban(ctx context.Context, client netip.Prefix) ([]rhumb.Ban, error) {
	client = normal(client)
	if !client.IsValid() {
		return nil, rhumb.Errorf(rhumb.Invalid, "that is neither an address nor a range")
	}
	ended := b.inForce.end(client, func(rhumb.Ban) bool { return true })
	if len(ended) == 0 {
		err := rhumb.Errorf(rhumb.NotFound, "%s isn't banned", rhumb.ClientText(client))
		if e := b.inForce.index.find(client.Addr(), time.Now().UnixNano()); e != nil && inside(client, e.ban.Client) {
			return nil, err.WithHint("it is in the range %s, which is: rhumb bans rm %s", e.ban.Client, e.ban.Client)
		}
		return nil, err
	}
	by := rhumb.ActorOf(ctx).By("")
	for _, ban := range ended {
		b.log.Info("ban ended", "client", ban.Client, "by", by, "reference", ban.Reference)
		b.news.add(rhumb.BanNote{Ended: true, By: by, Ban: ban})
	}
	return ended, b.file.save()
}

// WhyBanned implements rhumb.BanBook.
func (b *Book) WhyBanned(_ context.Context, a netip.Addr) (rhumb.BanAnswer, error) {
	a = a.Unmap().WithZone("")
	now, who := time.Now(), clientOf(a)
	rs := b.rules.Load()
	answer := rhumb.BanAnswer{Addr: a, Spared: b.spared.why(who, rs.private(), now), Past: b.inForce.times(who, now)}
	if e := b.inForce.index.find(a, now.UnixNano()); e != nil {
		ban := e.view()
		answer.Ban = &ban
	}
	if rs == nil || !who.IsValid() {
		return answer, nil
	}
	for _, s := range rs.services {
		for _, rules := range [][]rule{s.requests, s.logs} {
			for _, r := range rules {
				c := b.counts.look(keyOf(r.id, who))
				last := time.Unix(0, c.last)
				if c.n > 0 {
					c.age(now.UnixNano(), int64(r.In))
				}
				if c.n > 0 {
					answer.Counts = append(answer.Counts, rhumb.BanCount{Stack: s.stack, Service: s.name, Rule: r.Name,
						Matches: int(c.n), Count: r.Count, In: r.In, Last: last})
				}
			}
		}
	}
	slices.SortFunc(answer.Counts, func(a, b rhumb.BanCount) int { return b.Last.Compare(a.Last) })
	return answer, nil
}

// ReportMatches implements rhumb.BanLedger.
func (b *Book) ReportMatches(_ context.Context, ms []rhumb.BanMatch) error {
	rs := b.rules.Load()
	if rs == nil {
		return nil
	}
	now := time.Now()
	for _, m := range ms {
		s := rs.services[[2]string{m.Stack, m.Service}]
		if s == nil {
			continue
		}
		i := slices.IndexFunc(s.logs, func(r rule) bool { return r.Name == m.Rule })
		if i < 0 || now.Sub(m.At) > s.logs[i].In {
			continue // lines that are collected late say nothing about now
		}
		if m.At.After(now) {
			m.At = now
		}
		b.match(s, &s.logs[i], m.Client, m.At)
	}
	return nil
}

// Spare implements rhumb.BanLedger.
func (b *Book) Spare(_ context.Context, a netip.Addr) error {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return rhumb.Errorf(rhumb.Invalid, "that is no address")
	}
	b.spared.use(a, time.Now().Add(userTime))
	b.inForce.changed()
	endFor(b, a, "rhumb, which is used from there")
	return nil
}

// endFor ends all bans that an address has, those of ranges too.
func endFor(b *Book, a netip.Addr, by string) {
	for _, ban := range b.inForce.endFor(a) {
		b.log.Warn("ban ended", "client", ban.Client, "by", by, "reference", ban.Reference)
		b.news.add(rhumb.BanNote{Ended: true, By: by, Ban: ban})
	}
}

// BanNews implements rhumb.BanLedger.
func (b *Book) BanNews(ctx context.Context, after uint64) ([]rhumb.BanNote, error) {
	return b.news.await(ctx, after), nil
}
