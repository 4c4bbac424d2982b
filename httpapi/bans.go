package httpapi

import (
	"context"
	"net/http"
	"net/netip"

	"rhumb"
)

type banInput struct{ Body rhumb.BanOrder }

type unbanInput struct {
	Client string `query:"client" required:"true" doc:"an address or a range"`
}

type whyBannedInput struct {
	Addr string `query:"addr" required:"true" doc:"an address"`
}

func (a *api) bans(s rhumb.BanBook) {
	handle(a, op("bans", http.MethodGet, "/bans", "List the bans that haven't ended, the latest first"),
		func(ctx context.Context, _ *struct{}) ([]rhumb.Ban, error) { return s.Bans(ctx) })
	handle(a, op("ban", http.MethodPost, "/bans", "Ban a client"),
		func(ctx context.Context, in *banInput) (rhumb.Ban, error) { return s.Ban(ctx, in.Body) })
	handle(a, op("unban", http.MethodDelete, "/bans", "End the bans of a client, or of all in a range"),
		func(ctx context.Context, in *unbanInput) ([]rhumb.Ban, error) {
			client, err := rhumb.ParseClient(in.Client)
			if err != nil {
				return nil, err
			}
			return s.Unban(ctx, client)
		})
	handle(a, op("why-banned", http.MethodGet, "/bans/why", "Show what is known about an address"),
		func(ctx context.Context, in *whyBannedInput) (rhumb.BanAnswer, error) {
			addr, err := netip.ParseAddr(in.Addr)
			if err != nil {
				return rhumb.BanAnswer{}, rhumb.Errorf(rhumb.Invalid, "%q is not an address", in.Addr).
					WithHint("write it as 203.0.113.7 or 2001:db8::7")
			}
			return s.WhyBanned(ctx, addr)
		})
}
