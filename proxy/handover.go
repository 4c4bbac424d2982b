package proxy

import (
	"context"
	"net/http"

	"rhumb"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
	"rhumb/proxy/internal/wire"
)

// operationsOf returns what the proxy does at its control socket.
func operationsOf(p *Proxy) http.Handler {
	mux := wire.Mux(p)
	wire.AddBook(mux, p.bans.book, p.bans.resting)
	wire.HandleTestify(mux, p.http.Testimonies.Give)
	mux.HandleFunc("POST /takeover", p.handOver)
	return mux
}

// handOver is the old proxy's side of a takeover.
func (p *Proxy) handOver(w http.ResponseWriter, r *http.Request) {
	s, err := wire.SuccessorOf(w)
	if err != nil {
		p.log.Error("takeover failed", "err", err)
		return
	}
	stop := context.AfterFunc(r.Context(), s.Close)
	defer stop()
	defer s.Close()
	if err := p.offer(s); err != nil {
		p.log.Warn("takeover not completed, still serving", "err", err)
		return
	}
	p.log.Info("handed over")
	s.Follow(func(t *rhumb.Table) (open, busy map[string]int) { return p.follow(r.Context(), t) })
}

// offer hands over sockets and table. Once the new proxy serves, this one accepts nothing more. It holds the turn: no
// table is taken meanwhile.
func (p *Proxy) offer(s *wire.Successor) error {
	p.turn.wait()
	defer p.turn.end()
	if p.ended {
		return s.Decline()
	}
	var sockets []*socket.Socket
	for _, l := range p.listeners.all() {
		sockets = append(sockets, l.Socket)
	}
	p.bans.rest()
	if err := s.Give(p.served.load().Table, sockets, &p.before); err != nil {
		p.bans.resume()
		return err
	}
	p.ended = true
	p.successor.Store(int64(s.PID()))
	p.certs.Rest()
	p.segments.disown() // before the new proxy learns that the segments are its own
	p.clients.disown()
	close(p.succeeded)
	p.before.Close()
	return s.Agree()
}

// follow serves the successor's table, if there is a new one, to the connections that are still here, and counts them.
func (p *Proxy) follow(ctx context.Context, t *rhumb.Table) (open, busy map[string]int) {
	if t != nil && table.Validate(*t) == nil {
		p.turn.wait()
		p.swap(ctx, t.Clone(), nil)
		p.turn.end()
	}
	return p.open(t)
}

// inherit takes what an old proxy offers and serves it. It returns nil without an error if there is no old proxy.
func (p *Proxy) inherit(ctx context.Context) (*wire.Inheritance, error) {
	got, err := wire.TakeOver(ctx, p.options.Socket)
	if got == nil {
		return nil, err
	}
	t := got.Table.Clone()
	err = table.Validate(t)
	if err == nil {
		err = p.saved.Save(t)
	}
	if err != nil {
		got.Refuse()
		return nil, err
	}
	p.log.Info("taking over", "pid", got.PID, "version", t.Version, "sockets", len(got.Sockets))
	p.turn.wait()
	defer p.turn.end()
	p.bans.load()
	p.swap(ctx, t, got.Sockets)
	return got, nil
}
