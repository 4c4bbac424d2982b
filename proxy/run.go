package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"rhumb"
	"rhumb/proxy/internal/socket"
	"rhumb/proxy/internal/wire"
)

// Run serves until ctx ends or another process takes over through the control socket, and then stops accepting, lets
// what is open finish, cuts what is left after Limits.StopTime or HandoverTime, and returns nil. It begins with what the proxy
// that already listens on Socket hands over, or with the table on disk. A Proxy runs once.
func (p *Proxy) Run(ctx context.Context) error {
	defer p.cut()
	defer p.before.Close()
	p.started = time.Now()
	tasks, stopTasks := context.WithCancel(context.WithoutCancel(ctx)) // they outlast ctx until connections are done
	defer stopTasks()
	var running sync.WaitGroup
	defer running.Wait()
	defer stopTasks()

	for _, s := range p.http.servers {
		p.work.Go(func() { p.serveHTTP(s) })
	}
	control, err := p.start(ctx)
	if err != nil {
		p.stop(p.limits.StopTime, p.limits.StopTime/10, nil)
		return err
	}
	disown := p.ownSegments(tasks) // before anybody can take over
	defer disown()
	if p.options.Lives != nil {
		running.Go(func() { p.watchLives(tasks) })
	}
	if control != nil {
		mux := wire.Mux(p)
		mux.HandleFunc("POST /takeover", p.handOver)
		running.Go(func() { wire.Serve(tasks, control, mux, p.log) })
	}
	running.Go(func() { p.keepBinding(tasks) })
	close(p.running)
	select {
	case <-ctx.Done():
		disown()
		p.stop(p.limits.StopTime, p.limits.StopTime/10, nil)
	case <-p.succeeded:
		p.stop(p.limits.HandoverTime, p.limits.QuietTime, ctx.Done())
	}
	return nil
}

// start begins to serve what an old proxy hands over, or the table on disk, and gives the control socket (nil if none is wanted).
// The socket is bound first: nothing may fail any more once the old proxy has let go.
func (p *Proxy) start(ctx context.Context) (_ *wire.Listener, err error) {
	if p.options.Socket == "" {
		return nil, p.serveSaved(ctx)
	}
	unlock, err := wire.Lock(ctx, p.options.Socket)
	if err != nil {
		return nil, err
	}
	defer unlock()
	control, err := wire.Listen(p.options.Socket)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			control.Abandon()
		}
	}()
	old, err := p.inherit(ctx)
	if err != nil {
		return nil, err
	}
	if old == nil {
		err = p.serveSaved(ctx)
	} else {
		err = old.Accept(&p.before)
	}
	if err != nil {
		return nil, err
	}
	return control, control.Publish()
}

// serveSaved serves the table on disk as far as its addresses can be bound. One that can't must not keep the others
// from serving; keepBinding goes on trying.
func (p *Proxy) serveSaved(ctx context.Context) error {
	t, err := p.saved.Load()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.certs.Manage(t)
	old := p.served.Load()
	p.served.Store(old.next(t, p.dead.hides))
	p.bindMissing(ctx)
	return nil
}

// bindMissing binds the listeners of the table that have no socket, as far as possible. The caller holds mu.
func (p *Proxy) bindMissing(ctx context.Context) {
	failed := map[socket.Binding]error{} // that weren't known to fail; explained at the end, because finding out who holds an address takes time
	for b := range p.served.Load().listeners {
		if p.sockets[b] != nil || p.ended {
			continue
		}
		s, err := socket.Listen(ctx, b)
		if err == nil {
			delete(p.missing, b)
			p.begin(s)
			continue
		}
		if !p.missing[b] {
			failed[b] = err
		}
		p.missing[b] = true
	}
	p.noteMissing()
	for b, err := range failed {
		p.log.Error("listener not bound, trying again", "address", b.String(), "error", socket.Explain(b, err))
	}
}

// noteMissing lets Status tell, which doesn't wait for mu.
func (p *Proxy) noteMissing() {
	var ls []rhumb.Listener
	for _, l := range p.served.Load().table.Listeners {
		if p.missing[socket.Of(l)] {
			ls = append(ls, l)
		}
	}
	p.unboundNow.Store(&ls)
}

// keepBinding tries once a second to bind what could not be bound: an address that the host gets later, a port
// that another process gives up.
func (p *Proxy) keepBinding(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.mu.Lock()
			p.bindMissing(ctx)
			p.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

func (p *Proxy) serveHTTP(s webServer) {
	s.BaseContext = func(net.Listener) context.Context { return p.life }
	err := s.Serve(s.queue)
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("HTTP server ended", "error", err)
	}
}

// stop ends the proxy: nothing new is accepted; connections finish, idle ones once they have been quiet for the
// time; what is left at the limit, or StopTime after hurry, is cut. It returns when all of it is over.
func (p *Proxy) stop(limit, quiet time.Duration, hurry <-chan struct{}) {
	p.http.leaving.Store(true)
	p.mu.Lock()
	p.ended = true
	for _, s := range p.sockets {
		select {
		case <-p.succeeded:
			s.quit()
		default:
			s.close() // nobody would send the datagrams that UDP sessions answer
		}
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends when the connections do, which the cut sees to
		defer close(done)
		p.accepting.Wait()
		p.shaking.Wait() // they have a deadline; what comes of them is still served
		p.finishHTTP(quiet)
		p.work.Wait()
	}()
	p.await(done, limit, hurry)
	p.cut()
	for _, s := range p.http.servers {
		s.Close()
	}
	p.mu.Lock()
	for _, s := range p.sockets {
		s.close()
	}
	p.mu.Unlock()
	<-done
}

// await waits for the connections' ends, but not for ever.
func (p *Proxy) await(done <-chan struct{}, limit time.Duration, hurry <-chan struct{}) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return
		case <-hurry:
			hurry = nil
			timer.Reset(min(limit, p.limits.StopTime))
		case <-timer.C:
			open, _ := p.served.Load().open()
			p.log.Warn("connections cut", "open", open)
			return
		}
	}
}

// finishHTTP waits for the HTTP connections' ends, and closes those that are quiet.
func (p *Proxy) finishHTTP(quiet time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for p.http.conns.CloseQuiet(quiet) > 0 && p.life.Err() == nil {
		select {
		case <-tick.C:
		case <-p.life.Done():
		}
	}
	for _, s := range p.http.servers {
		s.queue.Close()
	}
	p.http.finish()
}

var _ rhumb.Router = (*Proxy)(nil)
