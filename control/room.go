package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"rhumb"
	"rhumb/internal/disk"
)

// defaultDiskLimit is the percentage at which a file system is too full for anything new.
const defaultDiskLimit = 90

// Room tells whether there is room for something new: a deployment, a build. It is Unavailable once a file system
// that the engine's or the daemon's data lie on is too full. What serves, and what gives room back, must not ask.
func (c *Control) Room(ctx context.Context) error {
	if c.DiskLimit >= 100 {
		return nil
	}
	info, err := c.Engine.Info(ctx)
	if err != nil {
		return err
	}
	if full := c.fullness(info.Root, "the engine's data"); full != "" {
		return noRoom(full+c.takers(ctx), "docker system df shows what takes it, docker image prune and docker builder prune what no container uses; rhumb doctor looks again")
	}
	if full := c.fullness(c.Data, "rhumb's data"); full != "" {
		return noRoom(full, fmt.Sprintf("du -xsh %s/* shows what takes it; rhumb doctor looks again", c.Data))
	}
	return nil
}

func noRoom(full, hint string) error {
	return rhumb.Errorf(rhumb.Unavailable, "no room for anything new: %s", full).
		WithHint("%s. What runs goes on; --disk-limit of the server sets the limit", hint)
}

// fullness says how full the file system of a folder is; "": not too full, or it can't be looked at.
func (c *Control) fullness(path, what string) string {
	if path == "" {
		return ""
	}
	look := c.Space
	if look == nil {
		look = disk.Look
	}
	u, err := look(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.Log.Warn("disk not looked at", "path", path, "err", err)
		}
		return ""
	}
	switch {
	case u.Space() >= c.DiskLimit:
		return fmt.Sprintf("the disk of %s (%s) is %d%% full, %s of %s", path, what, u.Space(), bytesOf(u.Used), bytesOf(u.Usable))
	case u.Nodes() >= c.DiskLimit:
		return fmt.Sprintf("of the inodes of %s (%s) %d%% are used, %d of %d", path, what, u.Nodes(), u.Inodes-u.Free, u.Inodes)
	}
	return ""
}

// takers says what takes the engine's room, if that can be found out.
func (c *Control) takers(ctx context.Context) string {
	if c.Usage == nil {
		return ""
	}
	text, err := c.Usage(ctx)
	if err != nil || text == "" {
		c.Log.Debug("what takes the engine's room is unknown", "err", err)
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
