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

// server is the running daemon of either version.
type server interface {
	Info(context.Context) (rhumb.ServerInfo, error)
	Stacks(context.Context) ([]rhumb.StackInfo, error)
	Routes(context.Context) (rhumb.RouterStatus, error)
}

// Services are the changes that an upgrade makes to the machine.
type Services interface {
	// Place installs a program atomically, where the services start it.
	Place(ctx context.Context, p Program) error
	// Reload makes a proxy of the installed program take over from the running one. Where the daemon does this when
	// it starts, Reload does nothing.
	Reload(ctx context.Context) error
	// Restart starts to restart the daemon; it may return before the new one answers.
	Restart(ctx context.Context) error
	// Stop stops the daemon. It is Unsupported where only Restart is available.
	Stop(ctx context.Context) error
}

// Upgrade replaces one program by another. If the new one isn't well in time, it automatically goes back to the old
// one.
type Upgrade struct {
	Server   server
	Services Services
	Old, New Program
	Within   time.Duration                      // how soon the new daemon must be well
	Backup   func(context.Context) error        // saves the current state
	PutBack  func(context.Context) error        // restores it, while no daemon runs
	Schema   func(context.Context) (int, error) // the database's current schema
	Tell     func(string)                       // reports progress
}

const (
	lookTime   = 3 * time.Second        // for one look at the daemon
	lookPause  = 250 * time.Millisecond // between two looks
	steadyTime = 3 * time.Second        // how long a daemon must stay well
)

// Result is how an upgrade ended.
type Result struct {
	Failed error // why the new program is not installed; nil if it is
	Left   error // why going back failed too; nil if it worked
}

// Run upgrades. It returns an error only if it changed nothing.
func (u *Upgrade) Run(ctx context.Context) (Result, error) {
	before, err := u.look(ctx)
	if err != nil {
		before = health{} // the caller knows that the server doesn't answer
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

// start starts the new program: first the proxy, because a newer proxy understands an older daemon's tables.
func (u *Upgrade) start(ctx context.Context, before health) error {
	if err := u.Services.Reload(ctx); err != nil {
		return err
	}
	if err := u.Services.Restart(ctx); err != nil {
		return err
	}
	return u.await(ctx, before, u.New.Version)
}

// back returns to the old program: first the daemon, then the proxy, for the same reason.
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
		u.Tell("state restored: the new program had changed it")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*u.Within)
	defer cancel()
	if err := u.Services.Restart(ctx); err != nil {
		return err
	}
	before.proxy = "" // its version changes later
	if err := u.await(ctx, before, u.Old.Version); err != nil {
		return err
	}
	return u.Services.Reload(ctx)
}

// await returns nil once the daemon has stayed well for a while, or at the limit why it is not well.
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
			return rhumb.Errorf(rhumb.Cancelled, "upgrade interrupted")
		}
	}
}

// health is the part of a daemon's state that an upgrade must preserve.
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

// well returns why a daemon that should run the version is not as healthy as before, or nil.
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
