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

// Image scripts what a reference means. Ref must be set; an ID of "" is made from it. Unscripted references mean an
// image without volumes, ports and check.
func (e *Engine) Image(img rhumb.Image) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if img.ID == "" {
		img.ID = ImageID(img.Ref)
	}
	e.scripted[img.Ref] = img
	delete(e.missing, img.Ref)
}

// AddImage puts an image into the engine by hand, as "docker pull" or "docker build" would.
func (e *Engine) AddImage(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put(ref, e.meant(ref))
}

// AddBuilt puts an image into the engine as rhumb's own build of it would.
func (e *Engine) AddBuilt(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	img := e.meant(ref)
	e.put(ref, img)
	e.fetched[img.ID] = e.now()
}

// Missing makes an image, by reference or ID, one that can't be had: Resolve answers err.
func (e *Engine) Missing(ref string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missing[ref] = err
	delete(e.images, ref)
}

// Kept returns rhumb's own names of images, sorted.
func (e *Engine) Kept() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.kept))
	for name := range e.kept {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Has reports whether the engine has the image of an ID.
func (e *Engine) Has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.has(id)
}

// put puts an image into the engine.
func (e *Engine) put(ref string, img rhumb.Image) {
	e.images[ref] = img
	delete(e.removed, img.ID)
}

func (e *Engine) has(id string) bool {
	for _, img := range e.images {
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
func (e *Engine) meant(ref string) rhumb.Image {
	if img, ok := e.scripted[ref]; ok {
		return img
	}
	return rhumb.Image{Ref: ref, ID: ImageID(ref), Size: 1 << 20}
}

// declared returns the paths at which a container's image declares volumes.
func (e *Engine) declared(c *rhumb.Container) []string {
	if img, ok := e.scripted[c.Image]; ok {
		return img.Volumes
	}
	for _, img := range e.scripted {
		if img.ID == c.ImageID {
			return img.Volumes
		}
	}
	return nil
}

// Resolve finds the image that a reference means, and "pulls" it if the policy says so.
func (e *Engine) Resolve(ctx context.Context, r rhumb.ImageRequest, progress func(rhumb.ImageProgress)) (rhumb.Image,
	error) {
	if err := e.enter(ctx, "Resolve"); err != nil {
		return rhumb.Image{}, err
	}
	img, pulled, err := e.resolve(r)
	e.mu.Unlock()
	if pulled && progress != nil {
		progress(rhumb.ImageProgress{Ref: r.Ref, Done: img.Size, Total: img.Size})
	}
	return img, err
}

func (e *Engine) resolve(r rhumb.ImageRequest) (img rhumb.Image, pulled bool, err error) {
	if err := e.missing[r.Ref]; err != nil {
		return rhumb.Image{}, false, err
	}
	local, ok := e.images[r.Ref]
	_, local.Pulled = e.fetched[local.ID]
	if ok && r.Policy != rhumb.PullAlways {
		return local, false, nil
	}
	if r.Policy == rhumb.PullNever || r.Policy == rhumb.PullBuild {
		return rhumb.Image{}, false, rhumb.Errorf(rhumb.NotFound, "image %s: the engine does not have it", r.Ref)
	}
	img = e.meant(r.Ref)
	there := e.has(img.ID)
	if name, _, _ := strings.Cut(r.Ref, "@"); img.Digest == "" && !strings.HasPrefix(r.Ref, "sha256:") {
		img.Digest = name + "@" + img.ID
	}
	e.put(r.Ref, img)
	if img.Pulled = !there; img.Pulled {
		e.fetched[img.ID] = e.now()
	}
	return img, true, nil
}

// Keep protects an image of a release from pruning under a name of rhumb's own.
func (e *Engine) Keep(ctx context.Context, stack, service string, release int, id string) error {
	if err := e.enter(ctx, "Keep"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	if !e.has(id) && e.missing[id] != nil {
		return rhumb.Errorf(rhumb.NotFound, "keep image %s: the engine does not have it", id)
	}
	e.kept[keptAs(stack, service, release)] = id
	return nil
}

// Release removes that name. With remove it removes the image too, if no release and no replica uses it.
func (e *Engine) Release(ctx context.Context, stack, service string, release int, remove bool) error {
	if err := e.enter(ctx, "Release"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	name := keptAs(stack, service, release)
	id, ok := e.kept[name]
	delete(e.kept, name)
	if !ok || !remove {
		return nil
	}
	e.removeImage(id)
	return nil
}

// removeImage removes an image that no release and no replica uses, and returns its size.
func (e *Engine) removeImage(id string) (size int64) {
	for _, other := range e.kept {
		if other == id {
			return 0
		}
	}
	if slices.ContainsFunc(e.replicas, func(r *replica) bool { return r.base.ImageID == id }) {
		return 0
	}
	for ref, img := range e.images {
		if img.ID == id {
			size = img.Size
			delete(e.images, ref)
		}
	}
	delete(e.fetched, id)
	e.removed[id] = true
	return size
}

// Sweep removes images that were pulled or added with AddBuilt and are no longer needed.
func (e *Engine) Sweep(ctx context.Context, needed []string, unused time.Duration) (int64, error) {
	if err := e.enter(ctx, "Sweep"); err != nil {
		return 0, err
	}
	defer e.mu.Unlock()
	var freed int64
	for id, at := range e.fetched {
		if !slices.Contains(needed, id) && e.now().Sub(at) >= unused {
			freed += e.removeImage(id)
		}
	}
	return freed, nil
}

// keptAs returns rhumb's own name for an image of a release.
func keptAs(stack, service string, release int) string {
	return fmt.Sprintf("rhumb.local/%s-%s:%d", stack, service, release)
}
