package install

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rhumb"
)

// Program is one version of rhumb.
type Program struct {
	Version string
	Schema  int // of its database
	Content []byte
}

// server is the running daemon, whichever version it is.
type server interface {
	Info(context.Context) (rhumb.ServerInfo, error)
	Stacks(context.Context) ([]rhumb.StackInfo, error)
	Routes(context.Context) (rhumb.RouterStatus, error)
}

// Services are what an upgrade does to the machine.
type Services interface {
	// Place puts a program where the services start it from, whole or not at all.
	Place(ctx context.Context, p Program) error
	// Reload has the proxy replaced by one of the program in place. Where the daemon does that at its start, it does
	// nothing.
	Reload(ctx context.Context) error
	// Restart begins to restart the daemon; it may return before the new one answers.
	Restart(ctx context.Context) error
	// Stop stops the daemon; Unsupported where only Restart is known.
	Stop(ctx context.Context) error
}

// Upgrade replaces one program by another and goes back by itself if the new one isn't well in time.
type Upgrade struct {
	Server   server
	Services Services
	Old, New Program
	Within   time.Duration                      // how long the new program has until its daemon must be well
	Backup   func(context.Context) error        // keeps the state as it is now
	PutBack  func(context.Context) error        // brings that back, while no daemon runs
	Schema   func(context.Context) (int, error) // of the database as it is now
	Tell     func(string)
}

const (
	lookTime   = 3 * time.Second        // for one look at the daemon
	lookPause  = 250 * time.Millisecond // between two
	steadyTime = 3 * time.Second        // how long a daemon is well before it counts
)

// Result is how an upgrade ended.
type Result struct {
	Failed error // why the new program isn't in place; nil: it is
	Left   error // what could not be put back either
}

// Run upgrades. An error means that nothing was changed.
func (u *Upgrade) Run(ctx context.Context) (Result, error) {
	before, err := u.look(ctx)
	if err != nil {
		before = health{} // the caller knows, and wanted it all the same
	}
	if err := u.Backup(ctx); err != nil {
		return Result{}, err
	}
	intime, cancel := context.WithTimeout(ctx, u.Within)
	defer cancel()
	if err := u.Services.Place(intime, u.New); err != nil {
		return Result{Failed: err, Left: u.Services.Place(context.WithoutCancel(ctx), u.Old)}, nil
	}
	u.Tell("program replaced: " + u.New.Version)
	if failed := u.start(intime, before); failed != nil {
		u.Tell("going back: " + failed.Error())
		return Result{Failed: failed, Left: u.back(context.WithoutCancel(ctx), before)}, nil
	}
	return Result{}, nil
}

// start brings the new program to life: the proxy first, because a newer proxy understands an older daemon's tables.
func (u *Upgrade) start(ctx context.Context, before health) error {
	if err := u.Services.Reload(ctx); err != nil {
		return err
	}
	if err := u.Services.Restart(ctx); err != nil {
		return err
	}
	return u.await(ctx, before, u.New.Version)
}

// back puts the old program back: the daemon first, then the proxy, for the same reason.
func (u *Upgrade) back(ctx context.Context, before health) error {
	if err := u.Services.Place(ctx, u.Old); err != nil {
		return err
	}
	schema, err := u.Schema(ctx)
	if err != nil || schema != u.Old.Schema {
		if err := u.Services.Stop(ctx); err != nil {
			return err
		}
		if err := u.PutBack(ctx); err != nil {
			return err
		}
		u.Tell("state put back: the new program had changed it")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*u.Within)
	defer cancel()
	if err := u.Services.Restart(ctx); err != nil {
		return err
	}
	before.proxy = "" // it follows
	if err := u.await(ctx, before, u.Old.Version); err != nil {
		return err
	}
	return u.Services.Reload(ctx)
}

// await returns once the daemon has been well for a while, or with what is wrong with it at the limit.
func (u *Upgrade) await(ctx context.Context, before health, version string) error {
	ctx, cancel := context.WithTimeout(ctx, u.Within)
	defer cancel()
	began := time.Now()
	since, started := time.Time{}, time.Time{}
	last := errors.New("the server does not answer")
	for {
		now, err := u.look(ctx)
		if err == nil {
			err = now.well(before, version)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			last, since = err, time.Time{}
		case since.IsZero() || !now.started.Equal(started):
			since, started = time.Now(), now.started
		case time.Since(since) >= steadyTime:
			u.Tell(fmt.Sprintf("rhumb %s is well, %.1f s after its start began", version, since.Sub(began).Seconds()))
			return nil
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return rhumb.Errorf(rhumb.Timeout, "rhumb %s is not well after %s: %w", version, u.Within, last)
			}
			return rhumb.Errorf(rhumb.Cancelled, "interrupted")
		}
	}
}

// health is what counts of a daemon.
type health struct {
	version string
	started time.Time
	proxy   string         // its version
	ready   map[string]int // replicas by stack and service
	wanted  map[string]int
}

func (u *Upgrade) look(ctx context.Context) (health, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	info, err := u.Server.Info(ctx)
	if err != nil {
		return health{}, err
	}
	stacks, err := u.Server.Stacks(ctx)
	if err != nil {
		return health{}, err
	}
	routes, err := u.Server.Routes(ctx)
	if err != nil {
		return health{}, err
	}
	h := health{version: info.Version, started: info.Started, proxy: routes.Version, ready: map[string]int{},
		wanted: map[string]int{}}
	for _, stack := range stacks {
		for _, s := range stack.Services {
			h.ready[stack.Name+"/"+s.Name], h.wanted[stack.Name+"/"+s.Name] = s.Ready, s.Replicas
		}
	}
	return h, nil
}

// well tells what is wrong with a daemon that shall be of that version, compared with what was before.
func (h health) well(before health, version string) error {
	if h.version != version {
		return fmt.Errorf("the server is rhumb %s", h.version)
	}
	if before.proxy != "" && h.proxy != version {
		return fmt.Errorf("the proxy is rhumb %s", h.proxy)
	}
	for service, ready := range before.ready {
		wanted, there := h.wanted[service]
		if !there {
			return fmt.Errorf("%s is gone", service)
		}
		if now := h.ready[service]; now < min(ready, wanted) {
			return fmt.Errorf("%s has %d ready replicas, and had %d", service, now, ready)
		}
	}
	return nil
}
