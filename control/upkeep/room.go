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

// Disks checks the file systems that can fill up.
type Disks struct {
	Engine Engine
	Data   string                                // the state folder
	Limit  int                                   // how full, in percent, they may be before Room refuses; 100: no limit
	Look   func(path string) (disk.Usage, error) // nil: disk.Look
	Takers func(context.Context) (string, error) // what uses the engine's disk, in words; nil: unknown
	Log    *slog.Logger
}

// Engine knows where its data are.
type Engine interface {
	Info(ctx context.Context) (rhumb.EngineInfo, error)
}

// Room reports whether there is enough disk space for something new, such as a deployment or a build. It is
// Unavailable if a file system with data of the engine or of rhumb is too full. Callers that keep a stack serving, or
// that free space, must not ask.
func (d Disks) Room(ctx context.Context) error {
	if d.Limit >= 100 {
		return nil
	}
	info, err := d.Engine.Info(ctx)
	if err != nil {
		return err
	}
	if full := d.fullness(info.Root, "the engine's data"); full != "" {
		return noRoom(full+d.takers(ctx), "docker system df shows what uses it, "+
			"docker image prune and docker builder prune free some; rhumb doctor checks again")
	}
	if full := d.fullness(d.Data, "rhumb's data"); full != "" {
		return noRoom(full, fmt.Sprintf("du -xsh %s/* shows what uses it; rhumb doctor checks again", d.Data))
	}
	return nil
}

func noRoom(full, hint string) error {
	return rhumb.Errorf(rhumb.Unavailable, "not enough disk space: %s", full).
		WithHint("%s. Stacks keep running; the server's --disk-limit sets the limit", hint)
}

// fullness says how full the file system of a folder is; "": not too full, or unknown.
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
			d.Log.Warn("disk usage unknown", "path", path, "err", err)
		}
		return ""
	}
	switch {
	case u.Space() >= d.Limit:
		used, all := bytesOf(u.Used), bytesOf(u.Usable)
		return fmt.Sprintf("the disk of %s (%s) is %d%% full, %s of %s", path, what, u.Space(), used, all)
	case u.Nodes() >= d.Limit:
		const words = "the disk of %s (%s) has %d%% of its inodes in use, %d of %d"
		return fmt.Sprintf(words, path, what, u.Nodes(), u.Inodes-u.Free, u.Inodes)
	}
	return ""
}

// takers says what uses the engine's disk; "": unknown.
func (d Disks) takers(ctx context.Context) string {
	if d.Takers == nil {
		return ""
	}
	text, err := d.Takers(ctx)
	if err != nil || text == "" {
		d.Log.Debug("disk usage of the engine unknown", "err", err)
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
