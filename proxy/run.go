package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"rhumb"
)

// Run serves until ctx ends, then stops accepting, lets what is open finish within Limits.StopTime, cuts the rest, and
// returns nil. It begins with the table on disk. A Proxy runs once.
func (p *Proxy) Run(ctx context.Context) error {
	p.started = time.Now()
	if err := p.start(ctx); err != nil {
		p.cut()
		return err
	}
	p.work.Go(p.serveHTTP)
	var tasks sync.WaitGroup
	tasks.Go(func() { p.keepBinding(ctx) })
	var controlErr error
	if p.options.Socket != "" {
		l, err := listenControl(p.options.Socket)
		if err != nil {
			controlErr = err
		} else {
			tasks.Go(func() { Serve(ctx, l, p, p.log) })
		}
	}
	close(p.running)
	if controlErr == nil {
		<-ctx.Done()
	}
	p.stop(p.limits.StopTime, p.limits.StopTime/10)
	tasks.Wait()
	return controlErr
}

// start serves the table on disk as far as its addresses can be bound. One that can't must not keep the others from
// serving; keepBinding goes on trying.
func (p *Proxy) start(ctx context.Context) error {
	t, err := p.load()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.served.Load()
	p.served.Store(old.next(t))
	p.bindMissing(ctx)
	return nil
}

// bindMissing binds the listeners that have no socket, and tells whether all have one now. The caller holds mu.
func (p *Proxy) bindMissing(ctx context.Context) bool {
	all := true
	for b := range p.served.Load().listeners {
		if p.sockets[b] != nil || p.ended {
			continue
		}
		s, err := listen(ctx, b)
		if err != nil {
			p.log.Error("listener not bound, trying again", "address", b.String(), "error", err)
			all = false
			continue
		}
		p.begin(s)
	}
	return all
}

// keepBinding tries once a second to bind what could not be bound at the start: an address that the host
// gets later, a port that another process gives up.
func (p *Proxy) keepBinding(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		p.mu.Lock()
		all := p.bindMissing(ctx)
		p.mu.Unlock()
		if all {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Proxy) serveHTTP() {
	p.http.server.BaseContext = func(net.Listener) context.Context { return p.life }
	err := p.http.server.Serve(&p.http.queue)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("HTTP server ended", "error", err)
	}
}

// stop ends the proxy: nothing new is accepted; connections finish, idle ones once they have been quiet for the
// time; what is left at the limit is cut. It returns when all of it is over.
func (p *Proxy) stop(limit, quiet time.Duration) {
	p.http.leaving.Store(true)
	p.mu.Lock()
	p.ended = true
	for _, s := range p.sockets {
		s.quit()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends when p.work does, which the cut sees to
		defer close(done)
		p.accepting.Wait()
		p.finishHTTP(quiet)
		p.work.Wait()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		p.log.Warn("connections cut", "after", limit, "open", p.served.Load().open())
	}
	p.cut()
	p.http.server.Close()
	p.mu.Lock()
	for _, s := range p.sockets {
		s.close()
	}
	p.mu.Unlock()
	<-done
}

// finishHTTP waits for the HTTP connections' ends, and closes those that are quiet.
func (p *Proxy) finishHTTP(quiet time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for p.http.conns.closeQuiet(quiet) > 0 {
		select {
		case <-tick.C:
		case <-p.life.Done():
		}
		if p.life.Err() != nil {
			break
		}
	}
	p.http.queue.Close()
	p.http.requests.Wait()
}

var _ rhumb.Router = (*Proxy)(nil)
