package proxy

import (
	"context"
	"net/http"

	"rhumb"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/table"
	"rhumb/proxy/internal/wire"
)

// handOver is the old proxy's side of a takeover.
func (p *Proxy) handOver(w http.ResponseWriter, r *http.Request) {
	s, err := wire.SuccessorOf(w)
	if err != nil {
		p.log.Error("takeover failed", "error", err)
		return
	}
	stop := context.AfterFunc(r.Context(), s.Close)
	defer stop()
	defer s.Close()
	if err := p.offer(s); err != nil {
		p.log.Warn("takeover not completed, going on", "error", err)
		return
	}
	p.log.Info("handed over")
	s.Follow(p.follow)
}

// offer hands over sockets and table, and ends this proxy's accepting once the new one serves. No table is taken meanwhile.
func (p *Proxy) offer(s *wire.Successor) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return s.Decline()
	}
	var sockets []*socket.Socket
	for _, l := range p.sockets {
		sockets = append(sockets, l.Socket)
	}
	if err := s.Give(p.served.Load().table, sockets, &p.before); err != nil {
		return err
	}
	p.ended = true
	p.successor.Store(int64(s.PID()))
	p.certs.Rest()
	p.disown() // before the new one is told that the segments are its own
	close(p.succeeded)
	p.before.Close()
	return s.Agree()
}

// Successor gives the process that serves instead of this one; 0: none does, or it isn't known.
func (p *Proxy) Successor() int { return int(p.successor.Load()) }

// follow serves what the successor serves, if it says something new, to the connections that are still here, and tells what they are.
func (p *Proxy) follow(t *rhumb.Table) (open, busy map[string]int) {
	if t != nil && table.Validate(*t) == nil {
		p.mu.Lock()
		p.swap(t.Clone(), nil)
		p.mu.Unlock()
	}
	return p.open(t)
}

// open counts what is in flight here and in the proxies before this one, and what of it is busy. t, if any, is given to
// them first.
func (p *Proxy) open(t *rhumb.Table) (open, busy map[string]int) {
	oldOpen, oldBusy := p.before.Ask(t)
	open, busy = p.served.Load().open()
	add(open, oldOpen)
	add(busy, oldBusy)
	return open, busy
}

func add(to, counts map[string]int) {
	for id, n := range counts {
		to[id] += n
	}
}

// inherit takes what an old proxy offers and serves it; nil without error if there is no old one.
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swap(t, got.Sockets)
	return got, nil
}
