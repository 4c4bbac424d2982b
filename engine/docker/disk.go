package docker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"rhumb/engine/docker/internal/conn"
)

const (
	usageTimeout = 10 * time.Second // the engine's count walks all volumes
	trimTimeout  = 5 * time.Minute  // the engine deletes many small files
	cacheLimit   = 10 << 30         // bytes of build cache that stay
)

// disk is the disk space that the engine uses.
type disk struct{ *conn.Conn }

// Usage returns what takes the engine's disk space, the largest first: "images 12.3 GB, build cache 4.0 GB".
func (d *disk) Usage(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	if _, err := d.Version(ctx); err != nil {
		return "", err
	}
	r, err := d.API.DiskUsage(ctx, client.DiskUsageOptions{Images: true, Containers: true, Volumes: true,
		BuildCache: true})
	if err != nil {
		return "", d.Fail(err, "get the engine's disk usage")
	}
	type share struct {
		what  string
		bytes int64
	}
	shares := []share{{"images", r.Images.TotalSize}, {"containers", r.Containers.TotalSize},
		{"volumes", r.Volumes.TotalSize}, {"build cache", r.BuildCache.TotalSize}}
	slices.SortStableFunc(shares, func(a, b share) int { return cmp.Compare(b.bytes, a.bytes) })
	var words []string
	for _, s := range shares {
		if s.bytes >= 5e7 { // less is 0.0 GB
			words = append(words, fmt.Sprintf("%s %.1f GB", s.what, float64(s.bytes)/1e9))
		}
	}
	return strings.Join(words, ", "), nil
}

// TrimCache trims the build cache to a limit, least recently used first, and returns the freed bytes. Running builds
// are not disturbed.
func (d *disk) TrimCache(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, trimTimeout)
	defer cancel()
	if _, err := d.Version(ctx); err != nil {
		return 0, err
	}
	r, err := d.API.BuildCachePrune(ctx, client.BuildCachePruneOptions{ReservedSpace: cacheLimit})
	return int64(r.Report.SpaceReclaimed), d.Fail(err, "trim the build cache")
}
