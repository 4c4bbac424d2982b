// Package follow follows a deployment on the client's side, until it ends or the user leaves it.
package follow

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
)

// Follower follows a deployment to its end, over broken connections and restarts of the daemon.
type Follower struct {
	Server     rhumb.Server
	View       view.Deployment
	Deployment rhumb.Deployment // its last known state
	Stdin      io.Reader        // for answers of the user
	Interrupts <-chan os.Signal
	Timeout    time.Duration // how long to follow
	Yes        bool          // don't ask: an interrupt rolls back
	By         string        // the author of a rollback

	ended   bool // the event of its end was shown: no other follows
	asked   bool // the user was asked whether to roll back
	putBack bool
	held    map[string]bool // the services for which requests waited at the last look
	news    chan rhumb.Event
	answers chan bool // to the question whether to roll back; nil: no open question
}

// ErrDetached is returned when the user leaves a deployment that goes on.
var ErrDetached = errors.New("detached")

// lookAgain is the interval between looks at the deployment itself: a daemon that dies may lose its last event.
const lookAgain = 2 * time.Second

// Follow shows the deployment until it ends, the timeout passes, or the user leaves it (ErrDetached). It returns the
// last known state of the deployment.
func (f *Follower) Follow(ctx context.Context) (rhumb.Deployment, error) {
	if ctx.Err() != nil { // an interrupt came before the follower took them over
		ctx = context.WithoutCancel(ctx)
		f.cancel(ctx)
	}
	defer f.listen(ctx)()
	timeout := time.NewTimer(f.Timeout)
	defer timeout.Stop()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	redraw := time.NewTicker(view.Frame)
	defer redraw.Stop()
	for !f.Deployment.Phase.Ended() {
		select {
		case e := <-f.news:
			f.show(ctx, e)
		case <-look.C:
			f.look(ctx)
			f.holds(ctx)
		case <-redraw.C:
			f.View.Tick()
		case <-f.Interrupts:
			if err := f.interrupt(ctx); err != nil {
				return f.Deployment, err
			}
		case yes := <-f.answers:
			f.answers = nil
			f.View.Answered()
			if !yes {
				return f.Deployment, ErrDetached
			}
			f.cancel(ctx)
		case <-timeout.C:
			return f.Deployment, nil
		case <-ctx.Done():
			return f.Deployment, ctx.Err()
		}
	}
	if !f.ended {
		f.drain()
	}
	return f.Deployment, nil
}

// show shows an event. After the event of the deployment's end, no other follows.
func (f *Follower) show(ctx context.Context, e rhumb.Event) {
	f.View.Event(e)
	if e.Kind == rhumb.EventDeployment && e.Phase.Ended() {
		f.ended = true
		f.look(ctx)
	}
}

// listen reads events until stop is called.
func (f *Follower) listen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	f.news = make(chan rhumb.Event)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.read(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// drain shows the events that arrive right after the end, so that the final picture is complete.
func (f *Follower) drain() {
	late := time.After(view.Frame)
	for {
		select {
		case e := <-f.news:
			f.View.Event(e)
		case <-late:
			return
		}
	}
}

// read passes on the deployment's events. When the stream breaks, it resumes after the last event.
func (f *Follower) read(ctx context.Context) {
	filter := rhumb.EventFilter{Stack: f.Deployment.Stack, Deployment: f.Deployment.ID, Follow: true}
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		for e, err := range f.Server.Events(ctx, filter) {
			if err != nil {
				break
			}
			filter.After = max(filter.After, e.ID)
			pause = 100 * time.Millisecond
			select {
			case f.news <- e:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		case <-ctx.Done():
		}
	}
}

// look updates the deployment. It ignores errors, because a restarting server answers at a later look.
func (f *Follower) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if d, err := f.Server.Deployment(ctx, f.Deployment.Stack, f.Deployment.ID); err == nil {
		f.Deployment = d
	}
}

// holds shows for which services of the stack requests wait in the proxy.
func (f *Follower) holds(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rs, err := f.Server.Routes(ctx)
	if err != nil {
		return // the next look retries
	}
	held := map[string]bool{}
	for _, b := range rs.Table.Backends {
		if st := rs.Backends[b.Name]; b.Stack == f.Deployment.Stack && st.Waiting > 0 {
			held[b.Service] = true
			f.View.Hold(b.Service, st.Waiting, time.Since(st.WaitingSince))
		}
	}
	for service := range f.held {
		if !held[service] {
			f.View.Hold(service, 0, 0)
		}
	}
	f.held = held
}

// Asking reports whether a question is still open.
func (f *Follower) Asking() bool { return f.answers != nil }

// interrupt handles Ctrl-C. On a terminal the first one asks and the second one leaves. Without a terminal it rolls
// back.
func (f *Follower) interrupt(ctx context.Context) error {
	switch {
	case f.putBack && terminal.Is(f.Stdin), f.answers != nil:
		return ErrDetached
	case f.Yes, !terminal.Is(f.Stdin), f.asked:
		f.cancel(ctx)
		return nil
	}
	f.asked = true
	f.answers = make(chan bool, 1)
	f.View.Ask("roll back? [y/N] (Ctrl-C again: stop following, the deployment goes on)")
	go f.ask(f.answers)
	return nil
}

// ask reads the answer. A read from a terminal can't be interrupted: it may last until the process ends.
func (f *Follower) ask(answers chan<- bool) {
	line, _ := bufio.NewReader(f.Stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		answers <- true
	default:
		answers <- false
	}
}

func (f *Follower) cancel(ctx context.Context) {
	if f.putBack {
		return
	}
	f.putBack = true
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := f.Server.Cancel(ctx, f.Deployment.Stack, f.Deployment.ID, f.By); err != nil {
		f.putBack = false
		f.View.Say("can't roll back now: " + err.Error())
		return
	}
	f.View.Say("putting it back")
}
