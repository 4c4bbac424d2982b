// Package images pulls, marks and prunes the images of a Docker Engine.
package images

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
)

// Images are an engine's images. It implements rhumb.Images and is safe for concurrent use.
type Images struct {
	*conn.Conn
	marks marks
}

var _ rhumb.Images = (*Images)(nil)

// New returns the images of an engine. prefix begins the marks of rhumb's images: Prefix, or the one of a test that
// shares the engine with others.
func New(c *conn.Conn, prefix string) *Images { return &Images{Conn: c, marks: marks(prefix)} }

// Resolve returns the image that a reference means, and pulls it if the policy says so.
func (im *Images) Resolve(ctx context.Context, r rhumb.ImageRequest,
	progress func(rhumb.ImageProgress)) (rhumb.Image, error) {
	if _, err := reference.ParseAnyReference(r.Ref); err != nil {
		return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid, "image %q: %w", r.Ref, err).
			WithHint("an image is written [REGISTRY/]NAME[:TAG][@DIGEST]")
	}
	if _, err := im.Version(ctx); err != nil {
		return rhumb.Image{}, err
	}
	local := r.Policy == rhumb.PullNever || r.Policy == rhumb.PullBuild || strings.HasPrefix(r.Ref, "sha256:")
	if local || r.Policy != rhumb.PullAlways {
		img, err := im.local(ctx, r)
		if err == nil || !conn.Is(err, rhumb.NotFound) || local {
			return img, err
		}
	}
	before, err := im.ids(ctx)
	if err != nil {
		return rhumb.Image{}, err
	}
	if err := im.pull(ctx, r, progress); err != nil {
		return rhumb.Image{}, err
	}
	img, err := im.local(ctx, r)
	if err == nil && !before[img.ID] {
		img.Pulled = true
		if err := im.mark(ctx, pulledMark, r.Ref, img.ID); err != nil {
			im.Log.Warn("pulled image not marked", "image", r.Ref, "err", err)
		}
	}
	return img, err
}

// local returns an image that the engine has; NotFound if it has none for the platform.
func (im *Images) local(ctx context.Context, r rhumb.ImageRequest) (rhumb.Image, error) {
	i, err := Inspect(ctx, im.Conn, r.Ref)
	if err != nil {
		return rhumb.Image{}, err
	}
	if i == nil {
		return rhumb.Image{}, rhumb.Errorf(rhumb.NotFound, "image %s: the engine does not have it", r.Ref).
			WithHint("build it, or let it be pulled: pull_policy: missing")
	}
	if !runsOn(i, r.Platform) {
		return rhumb.Image{}, rhumb.Errorf(rhumb.NotFound, "image %s: the engine has it for %s/%s, not for %s", r.Ref, i.Os,
			i.Architecture, r.Platform)
	}
	img := imageIn(r.Ref, i)
	img.Pulled = len(im.marks.sort(i, "").marks) > 0
	return img, nil
}

// runsOn reports whether an image is for a platform; "" is any. Many images don't name their variant.
func runsOn(i *image.InspectResponse, platform string) bool {
	p := i.Os + "/" + i.Architecture
	variant, ok := strings.CutPrefix(platform, p+"/")
	return platform == "" || platform == p || ok && (i.Variant == "" || i.Variant == variant)
}

// Inspect returns what an engine knows of an image; nil if there is none.
func Inspect(ctx context.Context, c *conn.Conn, ref string) (*image.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	i, err := c.API.ImageInspect(ctx, ref)
	failed := c.Fail(err, "look at image "+ref)
	if conn.Is(failed, rhumb.NotFound) {
		return nil, nil
	}
	if failed != nil {
		return nil, failed
	}
	return &i.InspectResponse, nil
}

// imageIn converts the engine's description of an image.
func imageIn(ref string, i *image.InspectResponse) rhumb.Image {
	img := rhumb.Image{Ref: ref, ID: i.ID, Digest: digestOf(ref, i.RepoDigests), Size: i.Size}
	if i.Config == nil {
		return img
	}
	img.Volumes = Volumes(i)
	img.Ports = slices.Sorted(maps.Keys(i.Config.ExposedPorts))
	if h := i.Config.Healthcheck; h != nil && len(h.Test) > 0 {
		img.Health = &rhumb.Healthcheck{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, Retries: h.Retries,
			StartPeriod: h.StartPeriod, StartInterval: h.StartInterval}
	}
	return img
}

// Volumes returns the paths at which an image declares volumes, sorted; empty if there are none.
func Volumes(i *image.InspectResponse) []string {
	if i.Config == nil {
		return nil
	}
	targets := slices.AppendSeq(make([]string, 0, len(i.Config.Volumes)), maps.Keys(i.Config.Volumes))
	slices.Sort(targets)
	return targets
}

// digestOf returns the digest that belongs to the repository of ref; "" if there is none.
func digestOf(ref string, digests []string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	for _, d := range digests {
		other, err := reference.ParseNormalizedNamed(d)
		if err == nil && other.Name() == named.Name() {
			return d
		}
	}
	return ""
}

// ids returns the IDs of all images that the engine has.
func (im *Images) ids(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.CallTimeout)
	defer cancel()
	list, err := im.API.ImageList(ctx, client.ImageListOptions{All: true})
	if err != nil {
		return nil, im.Fail(err, "list images")
	}
	ids := make(map[string]bool, len(list.Items))
	for _, i := range list.Items {
		ids[i.ID] = true
	}
	return ids, nil
}
