package upkeep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"rhumb"
	"rhumb/internal/disk"
)

// Disks are the file systems that fill up.
type Disks struct {
	Engine Engine
	Data   string                                // the daemon's
	Limit  int                                   // how full, in percent, they may be for anything new to begin
	Look   func(path string) (disk.Usage, error) // nil: disk.Look
	Takers func(context.Context) (string, error) // what takes the engine's room, in words; nil: unknown
	Log    *slog.Logger
}

// Engine tells where its data are.
type Engine interface {
	Info(ctx context.Context) (rhumb.EngineInfo, error)
}

// Room tells whether there is room for something new: a deployment, a build. It is Unavailable once a file system
// that the engine's or the daemon's data lie on is too full. What serves, and what gives room back, must not ask.
func (d Disks) Room(ctx context.Context) error {
	if d.Limit >= 100 {
		return nil
	}
	info, err := d.Engine.Info(ctx)
	if err != nil {
		return err
	}
	if full := d.fullness(info.Root, "the engine's data"); full != "" {
		return noRoom(full+d.takers(ctx), "docker system df shows what takes it, docker image prune and docker builder prune what no container uses; rhumb doctor looks again")
	}
	if full := d.fullness(d.Data, "rhumb's data"); full != "" {
		return noRoom(full, fmt.Sprintf("du -xsh %s/* shows what takes it; rhumb doctor looks again", d.Data))
	}
	return nil
}

func noRoom(full, hint string) error {
	return rhumb.Errorf(rhumb.Unavailable, "no room for anything new: %s", full).
		WithHint("%s. What runs goes on; --disk-limit of the server sets the limit", hint)
}

// fullness says how full the file system of a folder is; "": not too full, or it can't be looked at.
func (d Disks) fullness(path, what string) string {
	if path == "" {
		return ""
	}
	look := d.Look
	if look == nil {
		look = disk.Look
	}
	u, err := look(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.Log.Warn("disk not looked at", "path", path, "err", err)
		}
		return ""
	}
	switch {
	case u.Space() >= d.Limit:
		return fmt.Sprintf("the disk of %s (%s) is %d%% full, %s of %s", path, what, u.Space(), bytesOf(u.Used), bytesOf(u.Usable))
	case u.Nodes() >= d.Limit:
		return fmt.Sprintf("of the inodes of %s (%s) %d%% are used, %d of %d", path, what, u.Nodes(), u.Inodes-u.Free, u.Inodes)
	}
	return ""
}

// takers says what takes the engine's room, if that can be found out.
func (d Disks) takers(ctx context.Context) string {
	if d.Takers == nil {
		return ""
	}
	text, err := d.Takers(ctx)
	if err != nil || text == "" {
		d.Log.Debug("what takes the engine's room is unknown", "err", err)
		return ""
	}
	return ": " + text
}

func bytesOf(n uint64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
