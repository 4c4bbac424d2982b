package proxy

import (
	"context"
	"sync"
	"time"

	"rhumb"
	"rhumb/proxy/internal/wire"
)

// Run serves until ctx ends or another process takes over through the control socket. It then stops accepting, lets
// open connections finish, cuts what is left after Limits.StopTime or HandoverTime, and returns nil. It begins with
// what the proxy that already listens on Socket hands over, or with the table on disk. A Proxy runs once.
func (p *Proxy) Run(ctx context.Context) error {
	defer p.conns.cut()
	defer p.before.Close()
	p.started = time.Now()
	tasks, stopTasks := context.WithCancel(context.WithoutCancel(ctx)) // they outlast ctx until connections are done
	defer stopTasks()
	var running sync.WaitGroup
	defer running.Wait()
	defer stopTasks()

	p.conns.work.Go(func() {
		if err := p.http.Run(p.conns.ctx); err != nil {
			p.log.Error("HTTP server ended", "err", err)
		}
	})
	running.Go(func() { runWAF(tasks, p.options.WAF, p.log) })
	control, err := p.start(ctx)
	if err != nil {
		p.stop(p.limits.StopTime, p.limits.StopTime/10, nil)
		return err
	}
	p.segments.own(tasks, p.served.load().Table) // before a successor can take over
	defer p.segments.disown()
	p.clients.own(tasks)
	defer p.clients.disown()
	p.begin(tasks, &running, control)
	close(p.running)
	select {
	case <-ctx.Done():
		close(p.stopping)
		p.segments.disown()
		p.clients.disown()
		p.bans.rest() // before another proxy can start
		p.stop(p.limits.StopTime, p.limits.StopTime/10, nil)
	case <-p.succeeded:
		p.stop(p.limits.HandoverTime, p.limits.QuietTime, ctx.Done())
	}
	return nil
}

// begin starts what a serving proxy does besides. All of it ends with tasks.
func (p *Proxy) begin(tasks context.Context, running *sync.WaitGroup, control *wire.Listener) {
	if p.options.Lives != nil {
		deaths := &deathWatch{lives: p.options.Lives, served: p.served, segments: p.segments, log: p.log}
		running.Go(func() { deaths.run(tasks) })
	}
	running.Go(func() { p.bans.run(tasks) })
	if control != nil {
		running.Go(func() { wire.Serve(tasks, control, operationsOf(p), p.log) })
	}
	running.Go(func() { p.keepBinding(tasks) })
	limits := &limitWatch{log: p.log}
	running.Go(func() { limits.run(tasks, func() map[string]*rhumb.LimitStats { return p.served.load().Limited() }) })
}

// start begins to serve what an old proxy hands over, or the table on disk. It returns the control socket, or nil if
// Options name none. The control socket is bound first: nothing may fail any more once the old proxy has let go.
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
	awaitWAF(ctx, p.options.WAF, p.saved) // before the old proxy waits for this one
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

// stop ends the proxy. Nothing new is accepted; open connections finish, and idle ones are closed once they have been
// quiet for the given time. What is left at the limit, or StopTime after hurry, is cut. It returns when all of it is
// over.
func (p *Proxy) stop(limit, quiet time.Duration, hurry <-chan struct{}) {
	p.http.Leave()
	p.turn.wait()
	p.ended = true
	p.turn.end()
	for _, l := range p.listeners.all() {
		select {
		case <-p.succeeded:
			l.quit()
		default:
			l.close() // no process would send the datagrams that UDP sessions answer
		}
	}
	done := make(chan struct{})
	go func() { // ends with the connections, which the cut ends
		defer close(done)
		p.conns.accepting.Wait()
		p.conns.shaking.Wait() // they have a deadline; the connections that they open are still served
		p.http.CloseQuiet(p.conns.ctx, quiet)
		p.conns.work.Wait()
	}()
	if !ends(done, limit, p.limits.StopTime, hurry) {
		open, _ := p.served.load().Open()
		p.log.Warn("connections cut", "open", open)
	}
	p.conns.cut()
	p.http.Close()
	for _, l := range p.listeners.all() {
		l.close()
	}
	<-done
}

// ends reports whether done is closed within the limit, or within hurried after hurry is closed.
func ends(done <-chan struct{}, limit, hurried time.Duration, hurry <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-done:
			return true
		case <-hurry:
			hurry = nil
			timer.Reset(min(limit, hurried))
		case <-timer.C:
			return false
		}
	}
}
