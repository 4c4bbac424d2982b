package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/view"
)

// follower follows a deployment to its end, over broken connections and restarts of the daemon.
type follower struct {
	app  *app
	s    rhumb.Server
	view view.Deployment
	d    rhumb.Deployment
	opts following

	interrupts <-chan os.Signal
	told       bool // the end, by its own event: nothing follows it
	asked      bool // about putting back
	putBack    bool
	news       chan rhumb.Event
	answers    chan bool // to the question whether to put back; nil: none is open
}

// errDetached says that the user doesn't want to follow any longer.
var errDetached = errors.New("detached")

// lookAgain is how often the deployment itself is looked at: its last event may have been lost with a daemon.
const lookAgain = 2 * time.Second

// follow shows the deployment until it ends, until the wait's timeout, or until the user leaves it. It gives the
// deployment as it was seen last.
func (f *follower) follow(ctx context.Context) (rhumb.Deployment, error) {
	var give func()
	f.interrupts, give = f.app.interrupts.take()
	defer give()
	if ctx.Err() != nil { // the interrupt came before it was taken over
		ctx = context.WithoutCancel(ctx)
		f.cancel(ctx)
	}
	defer f.listen(ctx)()
	timeout := time.NewTimer(f.opts.waitTimeout)
	defer timeout.Stop()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	redraw := time.NewTicker(view.Frame)
	defer redraw.Stop()
	for !f.d.Phase.Ended() {
		select {
		case e := <-f.news:
			f.hear(ctx, e)
		case <-look.C:
			f.look(ctx)
		case <-redraw.C:
			f.view.Tick()
		case <-f.interrupts:
			if err := f.interrupt(ctx); err != nil {
				return f.d, err
			}
		case yes := <-f.answers:
			f.answers = nil
			f.view.Answered()
			if !yes {
				return f.d, errDetached
			}
			f.cancel(ctx)
		case <-timeout.C:
			return f.d, nil
		case <-ctx.Done():
			return f.d, ctx.Err()
		}
	}
	if !f.told {
		f.drain()
	}
	return f.d, nil
}

// hear shows an event. The one that tells the end is followed by no other.
func (f *follower) hear(ctx context.Context, e rhumb.Event) {
	f.view.Event(e)
	if e.Kind == rhumb.EventDeployment && e.Phase.Ended() {
		f.told = true
		f.look(ctx)
	}
}

// listen begins to read events, until stop is called.
func (f *follower) listen(ctx context.Context) (stop func()) {
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
func (f *follower) drain() {
	late := time.After(view.Frame)
	for {
		select {
		case e := <-f.news:
			f.view.Event(e)
		case <-late:
			return
		}
	}
}

// read passes on the deployment's events, and begins again after the last one when the stream breaks.
func (f *follower) read(ctx context.Context) {
	filter := rhumb.EventFilter{Stack: f.d.Stack, Deployment: f.d.ID, Follow: true}
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		for e, err := range f.s.Events(ctx, filter) {
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
func (f *follower) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if d, err := f.s.Deployment(ctx, f.d.Stack, f.d.ID); err == nil {
		f.d = d
	}
}

// interrupt acts on a Ctrl-C: on a terminal the first one asks, the second one leaves; elsewhere it puts back.
func (f *follower) interrupt(ctx context.Context) error {
	switch {
	case f.putBack && view.Terminal(f.app.stdin), f.answers != nil:
		return errDetached
	case f.opts.yes, !view.Terminal(f.app.stdin), f.asked:
		f.cancel(ctx)
		return nil
	}
	f.asked = true
	f.answers = make(chan bool, 1)
	f.view.Ask("put it back as it was? [y/N] (Ctrl-C again leaves it to itself)")
	go f.ask(f.answers)
	return nil
}

// ask reads the answer. Nothing can interrupt a read from a terminal: it ends with the process at the latest.
func (f *follower) ask(answers chan<- bool) {
	line, _ := bufio.NewReader(f.app.stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		answers <- true
	default:
		answers <- false
	}
}

func (f *follower) cancel(ctx context.Context) {
	if f.putBack {
		return
	}
	f.putBack = true
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := f.s.Cancel(ctx, f.d.Stack, f.d.ID, who()); err != nil {
		f.putBack = false
		f.view.Say("it can't be put back now: " + err.Error())
		return
	}
	f.view.Say("putting it back")
}

// conclude follows a deployment that has begun, and says how it ended.
func (a *app) conclude(ctx context.Context, s rhumb.Server, d rhumb.Deployment, v view.Deployment, opts following) error {
	if d.ID == 0 {
		v.Close()
		return a.unchanged(d)
	}
	if opts.detach {
		v.Close()
		return a.leave(d, fmt.Sprintf("deployment %d of %s has begun; rhumb events -f -p %s follows it", d.ID, d.Stack, d.Stack), rhumb.ExitConverged)
	}
	f := &follower{app: a, s: s, view: v, d: d, opts: opts}
	d, err := f.follow(ctx)
	if f.answers != nil {
		v.Answered()
		if !a.o.json() {
			fmt.Fprintln(a.stderr) // the question's line ends here
		}
	}
	v.Close()
	if errors.Is(err, errDetached) {
		return a.leave(d, fmt.Sprintf("left to itself: deployment %d of %s goes on (rhumb ps shows how, rhumb cancel puts it back)", d.ID, d.Stack), rhumb.ExitTimeout)
	}
	if err != nil {
		return err
	}
	return a.verdict(d)
}

func (a *app) unchanged(d rhumb.Deployment) error {
	if a.o.json() {
		return view.Line(a.stdout, map[string]any{"deployment": d})
	}
	if d.To == 0 {
		return &outcome{words: "nothing changed: " + d.Verdict().Text}
	}
	return &outcome{words: fmt.Sprintf("nothing changed: %s@%d serves", d.Stack, d.To)}
}

// leave ends the program while a deployment goes on.
func (a *app) leave(d rhumb.Deployment, words string, exit int) error {
	if a.o.json() {
		if err := view.Line(a.stdout, map[string]any{"deployment": d}); err != nil {
			return err
		}
		words = ""
	}
	return &outcome{exit: exit, words: words}
}

// verdict prints the failure cards and says the verdict.
func (a *app) verdict(d rhumb.Deployment) error {
	v := d.Verdict()
	if !a.o.json() {
		return &outcome{exit: v.Exit, words: view.Verdict(a.stderr, d)}
	}
	if err := view.Line(a.stdout, map[string]any{"deployment": d, "verdict": map[string]any{"exit": v.Exit, "text": v.Text}}); err != nil {
		return err
	}
	return &outcome{exit: v.Exit}
}
