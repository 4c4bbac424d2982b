package enginefake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// images are the images that the engine has, or could pull.
type images struct{ *state }

// Image scripts what a reference means. Ref must be set; an ID of "" is made from it. Unscripted references mean an
// image without volumes, ports and check.
func (im *images) Image(img rhumb.Image) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if img.ID == "" {
		img.ID = ImageID(img.Ref)
	}
	im.scripted[img.Ref] = img
	delete(im.missing, img.Ref)
}

// AddImage puts an image into the engine by hand, as "docker pull" or "docker build" would.
func (im *images) AddImage(ref string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.put(ref, im.meant(ref))
}

// AddBuilt puts an image into the engine as rhumb's own build of it would.
func (im *images) AddBuilt(ref string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	img := im.meant(ref)
	im.put(ref, img)
	im.fetched[img.ID] = im.now()
}

// Missing makes an image, by reference or ID, one that can't be had: Resolve answers err.
func (im *images) Missing(ref string, err error) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.missing[ref] = err
	delete(im.images, ref)
}

// Kept returns rhumb's own names of images, sorted.
func (im *images) Kept() []string {
	im.mu.Lock()
	defer im.mu.Unlock()
	names := make([]string, 0, len(im.kept))
	for name := range im.kept {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Has reports whether the engine has the image of an ID.
func (im *images) Has(id string) bool {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.has(id)
}

// put puts an image into the engine.
func (im *images) put(ref string, img rhumb.Image) {
	im.images[ref] = img
	delete(im.removed, img.ID)
}

func (im *images) has(id string) bool {
	for _, img := range im.images {
		if img.ID == id {
			return true
		}
	}
	return false
}

// ImageID returns the ID of a reference that Image hasn't scripted.
func ImageID(ref string) string {
	if strings.HasPrefix(ref, "sha256:") {
		return ref
	}
	sum := sha256.Sum256([]byte(ref))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// meant returns the image that a reference means.
func (im *images) meant(ref string) rhumb.Image {
	if img, ok := im.scripted[ref]; ok {
		return img
	}
	return rhumb.Image{Ref: ref, ID: ImageID(ref), Size: 1 << 20}
}

// Resolve finds the image that a reference means, and "pulls" it if the policy says so.
func (im *images) Resolve(ctx context.Context, r rhumb.ImageRequest, progress func(rhumb.ImageProgress)) (rhumb.Image,
	error) {
	if err := im.enter(ctx, "Resolve"); err != nil {
		return rhumb.Image{}, err
	}
	img, pulled, err := im.resolve(r)
	im.mu.Unlock()
	if pulled && progress != nil {
		progress(rhumb.ImageProgress{Ref: r.Ref, Done: img.Size, Total: img.Size})
	}
	return img, err
}

func (im *images) resolve(r rhumb.ImageRequest) (img rhumb.Image, pulled bool, err error) {
	if err := im.missing[r.Ref]; err != nil {
		return rhumb.Image{}, false, err
	}
	local, ok := im.images[r.Ref]
	_, local.Pulled = im.fetched[local.ID]
	if ok && r.Policy != rhumb.PullAlways {
		return local, false, nil
	}
	if r.Policy == rhumb.PullNever || r.Policy == rhumb.PullBuild {
		return rhumb.Image{}, false, rhumb.Errorf(rhumb.NotFound, "image %s: the engine does not have it", r.Ref)
	}
	img = im.meant(r.Ref)
	there := im.has(img.ID)
	if name, _, _ := strings.Cut(r.Ref, "@"); img.Digest == "" && !strings.HasPrefix(r.Ref, "sha256:") {
		img.Digest = name + "@" + img.ID
	}
	im.put(r.Ref, img)
	if img.Pulled = !there; img.Pulled {
		im.fetched[img.ID] = im.now()
	}
	return img, true, nil
}

// Keep protects an image of a release from pruning under a name of rhumb's own.
func (im *images) Keep(ctx context.Context, stack, service string, release int, id string) error {
	if err := im.enter(ctx, "Keep"); err != nil {
		return err
	}
	defer im.mu.Unlock()
	if !im.has(id) && im.missing[id] != nil {
		return rhumb.Errorf(rhumb.NotFound, "keep image %s: the engine does not have it", id)
	}
	im.kept[keptAs(stack, service, release)] = id
	return nil
}

// Release removes that name. With remove it removes the image too, if no release and no replica uses it.
func (im *images) Release(ctx context.Context, stack, service string, release int, remove bool) error {
	if err := im.enter(ctx, "Release"); err != nil {
		return err
	}
	defer im.mu.Unlock()
	name := keptAs(stack, service, release)
	id, ok := im.kept[name]
	delete(im.kept, name)
	if !ok || !remove {
		return nil
	}
	im.removeImage(id)
	return nil
}

// removeImage removes an image that no release and no replica uses, and returns its size.
func (im *images) removeImage(id string) (size int64) {
	for _, other := range im.kept {
		if other == id {
			return 0
		}
	}
	if slices.ContainsFunc(im.replicas, func(r *replica) bool { return r.base.ImageID == id }) {
		return 0
	}
	for ref, img := range im.images {
		if img.ID == id {
			size = img.Size
			delete(im.images, ref)
		}
	}
	delete(im.fetched, id)
	im.removed[id] = true
	return size
}

// Sweep removes images that were pulled or added with AddBuilt and are no longer needed.
func (im *images) Sweep(ctx context.Context, needed []string, unused time.Duration) (int64, error) {
	if err := im.enter(ctx, "Sweep"); err != nil {
		return 0, err
	}
	defer im.mu.Unlock()
	var freed int64
	for id, at := range im.fetched {
		if !slices.Contains(needed, id) && im.now().Sub(at) >= unused {
			freed += im.removeImage(id)
		}
	}
	return freed, nil
}

// keptAs returns rhumb's own name for an image of a release.
func keptAs(stack, service string, release int) string {
	return fmt.Sprintf("rhumb.local/%s-%s:%d", stack, service, release)
}
