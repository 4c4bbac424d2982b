// Package waf has requests looked at for attacks in a process of its own: Guard is the proxy's side, which starts that
// process while it is needed and asks it; Serve is the process's side. What looks at them is in the folder crs.
package waf

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/internal/pause"
)

// Options configures a Guard.
type Options struct {
	// Command returns the command that is started with the connection as its file 3. It must end when that does.
	Command func() *exec.Cmd
	Log     *slog.Logger
}

// Guard has requests looked at. The process is there only while it is needed.
type Guard struct {
	o Options

	mu      sync.Mutex
	needed  bool
	changed chan struct{} // closed when needed changes
	tried   chan struct{} // closed once the process is ready, or could not be started, since it is needed
	link    *link         // nil: no process is ready
	missed  int           // requests that were not looked at, since that was last logged
	logged  time.Time
}

// New returns a Guard that starts nothing until Run.
func New(o Options) *Guard {
	return &Guard{o: o, changed: make(chan struct{}), tried: make(chan struct{})}
}

// Times of the process.
const (
	askTime    = 2 * time.Second  // for one request
	startTime  = 30 * time.Second // until it is ready
	endTime    = 2 * time.Second  // until it is killed
	lingerTime = 10 * time.Second // in which it stays when it isn't needed: requests may be under way
	firstPause = time.Second      // between its end and its next start; it doubles
	maxPause   = time.Minute
	missedTime = time.Minute // between two messages about requests that were not looked at
)

// Need has the process started or ended. It returns once the process is ready, but waits for one try only.
func (g *Guard) Need(ctx context.Context, needed bool) {
	g.mu.Lock()
	if needed != g.needed {
		g.needed = needed
		close(g.changed)
		g.changed = make(chan struct{})
		if needed && g.link == nil {
			g.tried = make(chan struct{})
		}
	}
	tried := g.tried
	g.mu.Unlock()
	if !needed {
		return
	}
	select {
	case <-tried:
	case <-ctx.Done():
	}
}

// state returns whether the process is needed, and what is closed when that changes.
func (g *Guard) state() (needed bool, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.needed, g.changed
}

// noteTried lets those go on that wait in Need.
func (g *Guard) noteTried() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.tried:
	default:
		close(g.tried)
	}
}

// use makes a link the one that is asked; nil: none is.
func (g *Guard) use(l *link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.link = l
}

// Inspect has a request looked at. Unavailable: nothing can look at it, or it takes too long.
func (g *Guard) Inspect(ctx context.Context, i *rhumb.Inspection) (rhumb.Finding, error) {
	g.mu.Lock()
	l := g.link
	g.mu.Unlock()
	err := errGone
	if l != nil {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		var f rhumb.Finding
		if f, err = l.ask(ctx, i); err == nil {
			return f, nil
		}
	}
	if !errors.Is(err, context.Canceled) { // the client has left
		g.miss(err)
	}
	return rhumb.Finding{}, rhumb.Errorf(rhumb.Unavailable, "the request isn't looked at: %w", err)
}

// miss counts a request that isn't looked at.
func (g *Guard) miss(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.missed++
	if now := time.Now(); now.Sub(g.logged) >= missedTime {
		g.o.Log.Error("requests not looked at for attacks", "count", g.missed, "err", err)
		g.missed, g.logged = 0, now
	}
}

// Run keeps the process running while it is needed, until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	wait := firstPause
	for ctx.Err() == nil {
		needed, changed := g.state()
		if !needed {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		began := time.Now()
		err := g.once(ctx)
		g.noteTried()
		if err == nil {
			continue
		}
		if time.Since(began) > maxPause {
			wait = firstPause
		}
		g.o.Log.Error("process that looks at requests ended", "err", err, "again", wait)
		pause.For(ctx, wait)
		wait = min(2*wait, maxPause)
	}
	return nil
}

// once runs the process until it ends, which is an error, or isn't needed any more.
func (g *Guard) once(ctx context.Context) error {
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	cmd := g.o.Command()
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		return rhumb.Errorf(rhumb.Internal, "it can't be started: %w", err)
	}
	l := newLink(ours)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop(cmd, l)
	var ended error
	work.Go(func() { ended = l.run() })
	late := time.NewTimer(startTime)
	defer late.Stop()
	select {
	case <-l.ready:
	case <-l.gone:
		work.Wait()
		return rhumb.Errorf(rhumb.Unavailable, "it ended right away: %w", ended)
	case <-late.C:
		return rhumb.Errorf(rhumb.Timeout, "it isn't ready after %s", startTime)
	case <-ctx.Done():
		return nil
	}
	g.o.Log.Info("process looks at requests", "pid", cmd.Process.Pid)
	g.use(l)
	defer g.use(nil)
	g.noteTried()
	if g.stay(ctx, l) {
		work.Wait()
		return ended
	}
	return nil
}

// stay returns once the link is gone, which it reports, or the process hasn't been needed for a while, or ctx has
// ended.
func (g *Guard) stay(ctx context.Context, l *link) (gone bool) {
	for {
		needed, changed := g.state()
		var linger <-chan time.Time
		if !needed {
			linger = time.After(lingerTime)
		}
		select {
		case <-l.gone:
			return true
		case <-ctx.Done():
			return false
		case <-linger:
			return false
		case <-changed:
		}
	}
}

// stop ends a process by closing its connection, and waits for it.
func stop(cmd *exec.Cmd, l *link) {
	l.end()
	kill := time.AfterFunc(endTime, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait() // how it ends is of no use any more
	kill.Stop()
}

// pair returns two ends of a connection: one for this process, one for another.
func pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, rhumb.Errorf(rhumb.Internal, "there is no connection for it: %w", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "waf")
	defer mine.Close()
	theirs = os.NewFile(uintptr(fds[1]), "waf")
	if ours, err = net.FileConn(mine); err != nil {
		theirs.Close()
		return nil, nil, rhumb.Errorf(rhumb.Internal, "there is no connection for it: %w", err)
	}
	return ours, theirs, nil
}
