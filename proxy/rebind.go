package proxy

import (
	"context"
	"maps"
	"slices"

	"rhumb"
	"rhumb/proxy/internal/socket"
)

// bindings is what an Apply has to do to the sockets.
type bindings struct {
	fresh    []socket.Binding // to be bound beside all that is
	rebound  []socket.Binding // to be bound once those in the way are closed
	inTheWay []socket.Binding // ours, given up by the table, and overlapping: "127.0.0.1:80" becomes "[::]:80"
}

// unbound tells what t wants and isn't bound yet.
func (p *Proxy) unbound(t rhumb.Table) bindings {
	wanted := make(map[socket.Binding]bool, len(t.Listeners))
	for _, l := range t.Listeners {
		wanted[socket.Of(l)] = true
	}
	closing := map[socket.Binding]bool{}
	var bs bindings
	for _, l := range t.Listeners {
		b, free := socket.Of(l), true
		if p.sockets[b] != nil {
			continue
		}
		for o := range p.sockets {
			if !wanted[o] && b.Overlaps(o) {
				closing[o], free = true, false
			}
		}
		if free {
			bs.fresh = append(bs.fresh, b)
		} else {
			bs.rebound = append(bs.rebound, b)
		}
	}
	bs.inTheWay = slices.Collect(maps.Keys(closing))
	return bs
}

// listenAll binds all of them or none.
func listenAll(ctx context.Context, bs []socket.Binding) ([]*socket.Socket, error) {
	var bound []*socket.Socket
	for _, b := range bs {
		s, err := socket.Listen(ctx, b)
		if err != nil {
			closeAll(bound)
			return nil, socket.Explain(b, err)
		}
		bound = append(bound, s)
	}
	return bound, nil
}

func closeAll(ss []*socket.Socket) {
	for _, s := range ss {
		s.Close()
	}
}

// exchange closes our sockets that are in the way, and binds the others. Between the two, some microseconds, a connection would be
// refused: it is the one change of a table for which that can't be helped, short of sharing ports. If it fails what was closed is bound again.
func (p *Proxy) exchange(ctx context.Context, bs bindings) ([]*socket.Socket, error) {
	for _, o := range bs.inTheWay {
		p.sockets[o].close()
		delete(p.sockets, o)
	}
	bound, err := listenAll(ctx, bs.rebound)
	if err != nil {
		p.restore(ctx, bs.inTheWay)
		return nil, err
	}
	return bound, nil
}

// restore binds again what was closed. Should another process have been faster, keepBinding goes on trying.
func (p *Proxy) restore(ctx context.Context, gone []socket.Binding) {
	for _, b := range gone {
		s, err := socket.Listen(context.WithoutCancel(ctx), b)
		if err != nil {
			p.log.Error("listener lost", "address", b.String(), "error", err)
			continue
		}
		p.begin(s)
	}
}
