package server

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/cmd/rhumb/proxyd"
)

// keeper sees to it that a process of ours runs beside the daemon. The process outlives the daemon.
type keeper struct {
	process
	external bool // another service runs it
	log      *slog.Logger
	child    <-chan struct{} // closed when the process that this keeper started last has ended; nil: it started none
}

const keeperLook = time.Second // between two looks at a process

// proxyKeeper returns the keeper of the proxy. A port without a proxy refuses, so there is no pause between two starts.
// A new proxy takes over the sockets of an older one.
func proxyKeeper(conf Config, router rhumb.Router, log *slog.Logger) *keeper {
	return &keeper{process: proxyProcess(conf, router), external: conf.Proxy == "external", log: log}
}

// observeKeeper returns the keeper of the process that keeps logs. It may die again and again, for example on a full
// disk, so there is a pause between two starts. The pause doesn't grow: meanwhile the engine may rotate lines away.
func observeKeeper(conf Config, l *link.Link, log *slog.Logger) *keeper {
	return &keeper{process: observeProcess(conf, l), external: conf.Observe == "external", log: log}
}

// keepObserve returns the part of the server that looks after the process that keeps logs. If logs are not kept, it
// ends the process that an earlier server started.
func keepObserve(conf Config, l *link.Link, log *slog.Logger) func(context.Context) error {
	k := observeKeeper(conf, l, log)
	if conf.Observe != "off" {
		return k.run
	}
	return func(ctx context.Context) error {
		if err := k.end(ctx); err != nil {
			log.Warn("process not ended", "process", k.name, "err", err)
		}
		<-ctx.Done()
		return nil
	}
}

// run looks after the process until ctx ends, and starts it again when it is gone, unless another service does.
func (k *keeper) run(ctx context.Context) error {
	if k.external {
		<-ctx.Done()
		return nil
	}
	if _, ok := k.running(ctx); ok { // perhaps of an older program
		k.revive(ctx)
	}
	t := time.NewTicker(keeperLook)
	defer t.Stop()
	var life lifeWatch
	defer life.stop()
	var due time.Time // of the next start
	answered := false
	for {
		pid, ok := k.running(ctx)
		if answered = answered || ok; !ok && !time.Now().Before(due) && ctx.Err() == nil {
			if answered {
				k.log.Warn("process does not answer", "process", k.name)
			}
			due = time.Now().Add(k.pause)
			pid, ok = k.revive(ctx)
		}
		if ok {
			life.turn(pid)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-life.ended:
			life.stop()
		case <-t.C:
			if err := boundLog(k.logFile); err != nil {
				k.log.Warn("log of process not shortened", "process", k.name, "err", err)
			}
		}
	}
}

// revive starts a process where none of this very binary answers.
func (k *keeper) revive(ctx context.Context) (pid int, ok bool) {
	if err := k.ensure(ctx); err != nil {
		if ctx.Err() == nil {
			k.log.Error("process not started", "process", k.name, "err", err)
		}
		return 0, false
	}
	return k.running(ctx)
}

// running reports whether a process answers, and its process ID.
func (k *keeper) running(ctx context.Context) (pid int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	pid, err := k.answers(ctx)
	return pid, err == nil
}

// ensure returns once a process of this very binary answers. It starts one if none does. It only waits for a process
// that another service runs.
func (k *keeper) ensure(ctx context.Context) error {
	if k.external {
		if _, ok := k.running(ctx); !ok {
			k.log.Warn("process does not answer; it is another service's", "process", k.name)
		}
		return nil
	}
	if k.current(ctx) {
		return nil
	}
	if !k.inherits {
		if err := k.end(ctx); err != nil {
			return err
		}
	}
	exited, err := k.start(k.log)
	if err != nil {
		return err
	}
	k.child = exited
	return k.await(ctx, exited)
}

// await returns nil once a process of this very binary answers.
func (k *keeper) await(ctx context.Context, exited <-chan struct{}) error {
	late := time.After(proxyd.StartTime)
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if k.current(ctx) {
				return nil
			}
		case <-exited:
			return rhumb.Errorf(rhumb.Unavailable, "%s ended right away: %s", k.title, k.lastWords())
		case <-late:
			return rhumb.Errorf(rhumb.Unavailable, "%s does not answer: %s", k.title, k.lastWords())
		}
	}
}

// current reports whether a process answers that runs the same file as this one. One that can't inherit from an older
// one must have its settings too.
func (k *keeper) current(ctx context.Context) bool {
	pid, ok := k.running(ctx)
	if !ok {
		return false
	}
	ours, err := os.Stat("/proc/self/exe")
	if err != nil {
		return true // it can't be known
	}
	theirs, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/exe")
	return err != nil || os.SameFile(ours, theirs) && (k.inherits || k.configured(pid))
}

// end ends the process that answers. Unavailable: one that this keeper started is alive but
// doesn't answer yet, or the old one doesn't end.
func (k *keeper) end(ctx context.Context) error {
	pid, ok := k.running(ctx)
	if !ok {
		select {
		case <-k.child:
		default:
			if k.child != nil {
				return rhumb.Errorf(rhumb.Unavailable, "%s was started and does not answer: %s", k.title, k.lastWords())
			}
		}
		return nil
	}
	k.log.Info("old process ended", "process", k.name, "pid", pid)
	if err := stopProcess(ctx, pid); err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "the old process of %s does not end: %w", k.title, err)
	}
	return nil
}
