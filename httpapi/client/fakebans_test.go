package client_test

import (
	"context"
	"net/netip"
	"time"

	"rhumb"
)

var ban = rhumb.Ban{Client: netip.MustParsePrefix("2001:db8::/64"), Reference: "K7QW-3MZA", Reason: "<b> & \u2028",
	Stack: "shop", Service: "web", Rule: "login", By: "ada", Since: noon, Until: noon.Add(time.Hour), Times: 3, Refused: 9}

func (f *fake) Bans(context.Context) ([]rhumb.Ban, error) {
	f.note()
	return zeroIf(f.err, []rhumb.Ban{ban, {Client: netip.MustParsePrefix("203.0.113.0/24"), Since: noon}}), f.err
}

func (f *fake) Ban(_ context.Context, o rhumb.BanOrder) (rhumb.Ban, error) {
	f.note(o)
	return zeroIf(f.err, ban), f.err
}

func (f *fake) Unban(_ context.Context, client netip.Prefix) ([]rhumb.Ban, error) {
	f.note(client)
	return zeroIf(f.err, []rhumb.Ban{ban}), f.err
}

func (f *fake) WhyBanned(_ context.Context, a netip.Addr) (rhumb.BanAnswer, error) {
	f.note(a)
	return zeroIf(f.err, rhumb.BanAnswer{Addr: a, Ban: &ban, Spared: "it is in a private network", Past: 2,
		Counts: []rhumb.BanCount{{Stack: "shop", Service: "web", Rule: "login", Matches: 4, Count: 5, In: time.Minute,
			Last: noon}}}), f.err
}
