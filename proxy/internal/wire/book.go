package wire

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"rhumb"
)

// Book is a book of bans with everything that a control socket offers of it.
type Book interface {
	rhumb.BanBook
	rhumb.BanLedger
}

var _ Book = (*Client)(nil)

// ending asks for the end of a ban.
type ending struct {
	Client netip.Prefix
	By     string
}

// AddBook adds the operations of a book. While leaving returns true, a successor has the book.
func AddBook(mux *http.ServeMux, book Book, leaving func() bool) {
	handle := func(pattern string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			var v any = struct{}{}
			err := error(ErrLeaving)
			if !leaving() {
				v, err = do(r)
			}
			reply(w, v, err)
		})
	}
	handle("GET /bans", func(r *http.Request) (any, error) { return book.Bans(r.Context()) })
	handle("POST /bans", func(r *http.Request) (any, error) {
		return with(r, func(o rhumb.BanOrder) (rhumb.Ban, error) { return book.Ban(r.Context(), o) })
	})
	handle("POST /bans/end", func(r *http.Request) (any, error) {
		return with(r, func(e ending) ([]rhumb.Ban, error) {
			return book.Unban(rhumb.WithActor(r.Context(), rhumb.Actor{Name: e.By}), e.Client)
		})
	})
	handle("POST /bans/why", func(r *http.Request) (any, error) {
		return with(r, func(a netip.Addr) (rhumb.BanAnswer, error) { return book.WhyBanned(r.Context(), a) })
	})
	handle("POST /bans/matches", func(r *http.Request) (any, error) {
		return with(r, func(ms []rhumb.BanMatch) (struct{}, error) {
			return struct{}{}, book.ReportMatches(r.Context(), ms)
		})
	})
	handle("POST /bans/spared", func(r *http.Request) (any, error) {
		return with(r, func(a netip.Addr) (struct{}, error) { return struct{}{}, book.Spare(r.Context(), a) })
	})
	handle("GET /bans/news", func(r *http.Request) (any, error) {
		after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
		if err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "after: %q is not a number", r.FormValue("after"))
		}
		return book.BanNews(r.Context(), after)
	})
}

// maxBook bounds the body of a request about bans.
const maxBook = 4 << 20

// with calls do with the body of a request.
func with[I, O any](r *http.Request, do func(I) (O, error)) (any, error) {
	var in I
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBook)).Decode(&in); err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "request: can't be parsed: %w", err)
	}
	return do(in)
}

// Bans implements rhumb.BanBook.
func (c *Client) Bans(ctx context.Context) (list []rhumb.Ban, err error) {
	err = c.call(ctx, http.MethodGet, "/bans", nil, &list)
	return list, err
}

// Ban implements rhumb.BanBook. The user is that of the context.
func (c *Client) Ban(ctx context.Context, o rhumb.BanOrder) (ban rhumb.Ban, err error) {
	o.By = rhumb.ActorOf(ctx).By(o.By)
	err = c.call(ctx, http.MethodPost, "/bans", o, &ban)
	return ban, err
}

// Unban implements rhumb.BanBook. The user is that of the context.
func (c *Client) Unban(ctx context.Context, client netip.Prefix) (ended []rhumb.Ban, err error) {
	err = c.call(ctx, http.MethodPost, "/bans/end", ending{client, rhumb.ActorOf(ctx).By("")}, &ended)
	return ended, err
}

// WhyBanned implements rhumb.BanBook.
func (c *Client) WhyBanned(ctx context.Context, a netip.Addr) (answer rhumb.BanAnswer, err error) {
	err = c.call(ctx, http.MethodPost, "/bans/why", a, &answer)
	return answer, err
}

// ReportMatches implements rhumb.BanLedger.
func (c *Client) ReportMatches(ctx context.Context, ms []rhumb.BanMatch) error {
	return c.call(ctx, http.MethodPost, "/bans/matches", ms, nil)
}

// Spare implements rhumb.BanLedger.
func (c *Client) Spare(ctx context.Context, a netip.Addr) error {
	return c.call(ctx, http.MethodPost, "/bans/spared", a, nil)
}

// BanNews implements rhumb.BanLedger.
func (c *Client) BanNews(ctx context.Context, after uint64) (notes []rhumb.BanNote, err error) {
	path := "/bans/news?" + url.Values{"after": {strconv.FormatUint(after, 10)}}.Encode()
	err = c.call(ctx, http.MethodGet, path, nil, &notes)
	return notes, err
}
