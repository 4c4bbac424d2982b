package docker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// usageTimeout bounds the engine's count, which walks all volumes.
const usageTimeout = 10 * time.Second

// Usage returns what takes the engine's disk space, the largest first: "images 12.3 GB, build cache 4.0 GB".
func (e *Engine) Usage(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	if _, err := e.APIVersion(ctx); err != nil {
		return "", err
	}
	r, err := e.api.DiskUsage(ctx, client.DiskUsageOptions{Images: true, Containers: true, Volumes: true,
		BuildCache: true})
	if err != nil {
		return "", e.fail(err, "get the engine's disk usage")
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
