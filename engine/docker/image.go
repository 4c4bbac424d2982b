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

// Resolve finds the image that a reference means, and pulls it if the policy says so.
func (e *Engine) Resolve(ctx context.Context, r rhumb.ImageRequest, progress func(rhumb.ImageProgress)) (rhumb.Image, error) {
	if _, err := reference.ParseAnyReference(r.Ref); err != nil {
		return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid, "image %q: %w", r.Ref, err).WithHint("an image is written [REGISTRY/]NAME[:TAG][@DIGEST]")
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
		if err := e.mark(ctx, pulledMark, img.ID); err != nil {
			e.log.Warn("pulled image not marked", "image", r.Ref, "error", err)
		}
	}
	return img, err
}

// local looks for an image that the engine has.
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
		return rhumb.Image{}, rhumb.Errorf(rhumb.NotFound, "image %s: the engine has it for %s/%s, not for %s", r.Ref, i.Os, i.Architecture, r.Platform)
	}
	img := imageIn(r.Ref, i)
	img.Pulled = len(e.names(i, "").marks) > 0
	return img, nil
}

// runsOn tells whether an image is for a platform; "" is any. Many images don't tell their variant.
func runsOn(i *image.InspectResponse, platform string) bool {
	p := i.Os + "/" + i.Architecture
	variant, ok := strings.CutPrefix(platform, p+"/")
	return platform == "" || platform == p || ok && (i.Variant == "" || i.Variant == variant)
}

// imageInspect looks at an image; nil if there is none.
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

// imageIn reads an image out of what the engine says of it.
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

// digestOf gives the digest of the repository that was asked for.
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

// imageIDs gives the images that the engine has now.
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

// declaredVolumes gives the paths at which the image of a spec declares volumes. It is asked once per image.
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
		return nil, nil // making the container tells that the image isn't there
	}
	volumes := declaredBy(i.Config.Volumes)
	if ref == i.ID { // a name may mean another image later
		e.declared.Store(ref, volumes)
	}
	return volumes, nil
}

// Keep protects an image of a release from pruning under a name of rhumb's own.
func (e *Engine) Keep(ctx context.Context, stack, service string, release int, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: keptAs(stack, service, release)})
	return e.fail(err, "keep image "+id)
}

// Release takes that name away again. With remove the image goes too, unless a container, another release or a name
// that is neither the registry's nor the build's uses it.
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

// untag takes a name of rhumb's from an image, and with remove all its names if nobody uses it.
func (e *Engine) untag(ctx context.Context, tag string, i *image.InspectResponse, built string, remove bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if !remove && len(i.RepoTags) == 1 {
		return nil // the engine would delete an image with its last name, and this one isn't rhumb's to delete
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
	if failed := e.fail(err, "remove image "+tag); failed != nil && !is(failed, rhumb.NotFound) && !is(failed, rhumb.Conflict) {
		return failed
	}
	return nil
}

// repository gives the repository of an image's name, in full.
func repository(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return named.Name()
}
