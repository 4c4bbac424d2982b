package docker

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/drawing"
)

// Resolve returns the image that a reference means, and pulls it if the policy says so.
func (e *Engine) Resolve(ctx context.Context, r rhumb.ImageRequest,
	progress func(rhumb.ImageProgress)) (rhumb.Image, error) {
	if _, err := reference.ParseAnyReference(r.Ref); err != nil {
		return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid, "image %q: %w", r.Ref, err).
			WithHint("an image is written [REGISTRY/]NAME[:TAG][@DIGEST]")
	}
	if _, err := e.APIVersion(ctx); err != nil {
		return rhumb.Image{}, err
	}
	local := r.Policy == rhumb.PullNever || r.Policy == rhumb.PullBuild || strings.HasPrefix(r.Ref, "sha256:")
	if local || r.Policy != rhumb.PullAlways {
		img, err := e.local(ctx, r)
		if err == nil || !is(err, rhumb.NotFound) || local {
			return img, err
		}
	}
	before, err := e.imageIDs(ctx)
	if err != nil {
		return rhumb.Image{}, err
	}
	if err := e.pull(ctx, r, progress); err != nil {
		return rhumb.Image{}, err
	}
	img, err := e.local(ctx, r)
	if err == nil && !before[img.ID] {
		img.Pulled = true
		if err := e.mark(ctx, pulledMark, r.Ref, img.ID); err != nil {
			e.log.Warn("pulled image not marked", "image", r.Ref, "err", err)
		}
	}
	return img, err
}

// local returns an image that the engine has; NotFound if it has none for the platform.
func (e *Engine) local(ctx context.Context, r rhumb.ImageRequest) (rhumb.Image, error) {
	i, err := e.imageInspect(ctx, r.Ref)
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
	img.Pulled = len(e.names(i, "").marks) > 0
	return img, nil
}

// runsOn reports whether an image is for a platform; "" is any. Many images don't name their variant.
func runsOn(i *image.InspectResponse, platform string) bool {
	p := i.Os + "/" + i.Architecture
	variant, ok := strings.CutPrefix(platform, p+"/")
	return platform == "" || platform == p || ok && (i.Variant == "" || i.Variant == variant)
}

// imageInspect returns what the engine knows of an image; nil if there is none.
func (e *Engine) imageInspect(ctx context.Context, ref string) (*image.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i, err := e.api.ImageInspect(ctx, ref)
	failed := e.fail(err, "look at image "+ref)
	if is(failed, rhumb.NotFound) {
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
	img.Volumes = declaredBy(i.Config.Volumes)
	img.Ports = slices.Sorted(maps.Keys(i.Config.ExposedPorts))
	if h := i.Config.Healthcheck; h != nil && len(h.Test) > 0 {
		img.Health = &rhumb.Healthcheck{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, Retries: h.Retries,
			StartPeriod: h.StartPeriod, StartInterval: h.StartInterval}
	}
	return img
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

// imageIDs returns the IDs of all images that the engine has.
func (e *Engine) imageIDs(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := e.api.ImageList(ctx, client.ImageListOptions{All: true})
	if err != nil {
		return nil, e.fail(err, "list images")
	}
	ids := make(map[string]bool, len(list.Items))
	for _, i := range list.Items {
		ids[i.ID] = true
	}
	return ids, nil
}

// declaredVolumes returns the paths at which the image of a spec declares volumes. It asks the engine once per image.
func (e *Engine) declaredVolumes(ctx context.Context, spec *rhumb.ReplicaSpec) ([]string, error) {
	ref := drawing.Image(&spec.Container)
	if v, ok := e.declared.Load(ref); ok {
		return v.([]string), nil
	}
	i, err := e.imageInspect(ctx, ref)
	if err != nil {
		return nil, err
	}
	if i == nil || i.Config == nil {
		return nil, nil // creating the container reports the missing image
	}
	volumes := declaredBy(i.Config.Volumes)
	if ref == i.ID { // a name may mean another image later
		e.declared.Store(ref, volumes)
	}
	return volumes, nil
}

// Keep tags an image of a release with a name of rhumb's own, which protects it from pruning.
func (e *Engine) Keep(ctx context.Context, stack, service string, release int, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: keptAs(stack, service, release)})
	return e.fail(err, "keep image "+id)
}

// Release removes that name. With remove it removes the image too, unless a container, another release, or a name that
// came from neither the registry nor the build uses it.
func (e *Engine) Release(ctx context.Context, stack, service string, release int, remove bool) error {
	tag := keptAs(stack, service, release)
	i, err := e.imageInspect(ctx, tag)
	if err != nil || i == nil {
		return err
	}
	if err := e.untag(ctx, tag, i, stack+"-"+service, remove); err != nil {
		return rhumb.Errorf(rhumb.ErrorCode(err), "release image %s: %w", tag, err)
	}
	return nil
}

// untag removes a name of rhumb's from an image, and with remove all its names if the image is unused.
func (e *Engine) untag(ctx context.Context, tag string, i *image.InspectResponse, built string, remove bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if !remove && len(i.RepoTags) == 1 {
		return nil // with its last name the engine would delete the image, which isn't rhumb's to delete
	}
	c := e.names(i, built)
	goes := remove && len(c.kept) == 1 && len(c.foreign) == 0
	if goes {
		used, err := e.usedImage(ctx, i.ID)
		if err != nil {
			return err
		}
		goes = !used
	}
	if goes {
		return e.removeNames(ctx, slices.Concat(c.origin, c.marks, []string{tag}))
	}
	_, err := e.api.ImageRemove(ctx, tag, client.ImageRemoveOptions{})
	if failed := e.fail(err, "remove image "+tag); failed != nil && !is(failed, rhumb.NotFound) &&
		!is(failed, rhumb.Conflict) {
		return failed
	}
	return nil
}

// repository returns the full repository of an image's name.
func repository(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return named.Name()
}
