// Package follow follows a deployment from the client's side, as long as its user wants to.
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
	Deployment rhumb.Deployment // as it was seen last
	Stdin      io.Reader        // where the user answers
	Interrupts <-chan os.Signal
	Timeout    time.Duration // how long to follow
	Yes        bool          // ask nothing: an interrupt puts back
	By         string        // who puts back

	told    bool // the end, by its own event: nothing follows it
	asked   bool // about putting back
	putBack bool
	held    map[string]bool // the services for which requests waited when it was last asked
	news    chan rhumb.Event
	answers chan bool // to the question whether to put back; nil: none is open
}

// ErrDetached says that the user doesn't want to follow any longer.
var ErrDetached = errors.New("detached")

// lookAgain is how often the deployment itself is looked at: its last event may have been lost with a daemon.
const lookAgain = 2 * time.Second

// Follow shows the deployment until it ends, until the wait's timeout, or until the user leaves it (ErrDetached). It gives the
// deployment as it was seen last.
func (f *Follower) Follow(ctx context.Context) (rhumb.Deployment, error) {
	if ctx.Err() != nil { // the interrupt came before it was taken over
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
			f.hear(ctx, e)
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
	if !f.told {
		f.drain()
	}
	return f.Deployment, nil
}

// hear shows an event. The one that tells the end is followed by no other.
func (f *Follower) hear(ctx context.Context, e rhumb.Event) {
	f.View.Event(e)
	if e.Kind == rhumb.EventDeployment && e.Phase.Ended() {
		f.told = true
		f.look(ctx)
	}
}

// listen begins to read events, until stop is called.
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

// drain shows the events that come within a moment of the end, so that the last picture is whole.
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

// read passes on the deployment's events, and begins again after the last one when the stream breaks.
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

// look asks for the deployment. A server that doesn't answer is asked again later: it may be starting anew.
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
		return // it is asked again later
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

// Asking tells whether a question was left open.
func (f *Follower) Asking() bool { return f.answers != nil }

// interrupt acts on a Ctrl-C: on a terminal the first one asks, the second one leaves; elsewhere it puts back.
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
	f.View.Ask("put it back as it was? [y/N] (Ctrl-C again leaves it to itself)")
	go f.ask(f.answers)
	return nil
}

// ask reads the answer. Nothing can interrupt a read from a terminal: it ends with the process at the latest.
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
		f.View.Say("it can't be put back now: " + err.Error())
		return
	}
	f.View.Say("putting it back")
}
