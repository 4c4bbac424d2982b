package docker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/observed"
)

// Extra names mark the images that are rhumb's: "rhumb.local/pulled/NAME:ID" for an image that was pulled under that
// name, "rhumb.local/built/NAME:ID" for one that was built. Only marked images are ever pruned. Older versions of rhumb
// marked a pulled image as "rhumb.local/pulled:ID".
const (
	pulledMark    = "pulled/"
	oldPulledMark = "pulled:"
	builtMark     = "built/"
)

const (
	sweepTimeout = time.Minute     // the next sweep continues
	trimTimeout  = 5 * time.Minute // the engine deletes many small files
	cacheLimit   = 10 << 30        // bytes of build cache that stay
)

// MarkBuilt marks an image as built by rhumb under that name.
func (e *Engine) MarkBuilt(ctx context.Context, name, id string) error {
	return e.mark(ctx, builtMark, name, id)
}

func (e *Engine) mark(ctx context.Context, kind, name, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	target := e.marks + kind + repositoryOf(name) + ":" + strings.TrimPrefix(id, "sha256:")
	_, err := e.api.ImageTag(ctx, client.ImageTagOptions{Source: id, Target: target})
	return e.fail(err, "mark image "+id)
}

// repositoryOf returns the part of a mark that stands for the repository of a name.
func repositoryOf(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return repositoryName(name)
	}
	return repositoryName(reference.FamiliarName(named))
}

// called is the names of an image, by origin.
type called struct {
	marks   []string // rhumb's
	kept    []string // rhumb's, of releases
	origin  []string // those under which it was pulled or built
	foreign []string // all others
}

// names sorts an image's names by origin. built is one more repository under which rhumb built it; "" is none.
func (e *Engine) names(i *image.InspectResponse, built string) called {
	var c called
	origin, as := map[string]bool{}, map[string]bool{}
	if !e.digestsOfAll(i) {
		for _, d := range i.RepoDigests {
			origin[repository(d)] = true
		}
	}
	if built != "" {
		origin[repository(built)] = true
	}
	var rest []string
	for _, n := range i.RepoTags {
		own, _ := strings.CutPrefix(n, e.marks)
		switch {
		case own != n && strings.HasPrefix(own, oldPulledMark):
			c.marks = append(c.marks, n)
		case own != n && (strings.HasPrefix(own, builtMark) || strings.HasPrefix(own, pulledMark)):
			_, name, _ := strings.Cut(own, "/")
			name, _, _ = strings.Cut(name, ":")
			as[name] = true
			c.marks = append(c.marks, n)
		case strings.HasPrefix(n, keptPrefix):
			c.kept = append(c.kept, n)
		default:
			rest = append(rest, n)
		}
	}
	for _, n := range rest {
		if origin[repository(n)] || as[repositoryOf(n)] {
			c.origin = append(c.origin, n)
		} else {
			c.foreign = append(c.foreign, n)
		}
	}
	return c
}

// digestsOfAll reports whether an image has a digest for each of its names, rhumb's own included. Containerd's image
// store does that. Elsewhere a digest shows that the image was pulled from that repository.
func (e *Engine) digestsOfAll(i *image.InspectResponse) bool {
	return slices.ContainsFunc(i.RepoDigests, func(d string) bool {
		return strings.HasPrefix(d, e.marks) || strings.HasPrefix(d, keptPrefix)
	})
}

// Sweep removes images that rhumb pulled or built and that are no longer needed.
func (e *Engine) Sweep(ctx context.Context, needed []string, unused time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	if _, err := e.APIVersion(ctx); err != nil {
		return 0, err
	}
	list, err := e.api.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return 0, e.fail(err, "list images")
	}
	var freed int64
	for _, s := range list.Items {
		marked := slices.ContainsFunc(s.RepoTags, func(n string) bool {
			return slices.ContainsFunc([]string{pulledMark, oldPulledMark, builtMark}, func(kind string) bool {
				return strings.HasPrefix(n, e.marks+kind)
			})
		})
		if !marked || slices.Contains(needed, s.ID) {
			continue
		}
		n, err := e.sweepImage(ctx, s.ID, unused)
		if err != nil {
			return freed, err
		}
		freed += n
	}
	return freed, nil
}

// TrimCache trims the build cache to a limit, least recently used first, and returns the freed bytes. Running builds
// are not disturbed.
func (e *Engine) TrimCache(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, trimTimeout)
	defer cancel()
	if _, err := e.APIVersion(ctx); err != nil {
		return 0, err
	}
	r, err := e.api.BuildCachePrune(ctx, client.BuildCachePruneOptions{ReservedSpace: cacheLimit})
	return int64(r.Report.SpaceReclaimed), e.fail(err, "trim the build cache")
}

// sweepImage removes a marked image unless it is needed, and returns its size.
func (e *Engine) sweepImage(ctx context.Context, id string, unused time.Duration) (int64, error) {
	i, err := e.imageInspect(ctx, id)
	if err != nil || i == nil {
		return 0, err
	}
	c := e.names(i, "")
	if len(c.kept) > 0 || len(c.foreign) > 0 || time.Since(touched(i)) < unused {
		return 0, nil
	}
	used, err := e.usedImage(ctx, id)
	if err != nil || used {
		return 0, err
	}
	if err := e.removeNames(ctx, slices.Concat(c.origin, i.RepoDigests, c.marks)); err != nil {
		return 0, err
	}
	e.log.Info("image pruned", "image", id, "names", c.origin)
	return i.Size, nil
}

// touched returns when an image last got a name, or was created.
func touched(i *image.InspectResponse) time.Time {
	at := i.Metadata.LastTagTime
	if made := observed.Moment(i.Created); made.After(at) {
		at = made
	}
	return at
}

// usedImage reports whether a container, running or not, was created from an image.
func (e *Engine) usedImage(ctx context.Context, id string) (bool, error) {
	used, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Limit: 1,
		Filters: client.Filters{}.Add("ancestor", id)})
	if err != nil {
		return false, e.fail(err, "list containers")
	}
	return len(used.Items) > 0, nil
}

// removeNames removes names from an image. The engine deletes the image with its last name.
func (e *Engine) removeNames(ctx context.Context, names []string) error {
	for _, name := range names {
		_, err := e.api.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		if failed := e.fail(err, "remove image "+name); failed != nil && !is(failed, rhumb.NotFound) &&
			!is(failed, rhumb.Conflict) {
			return failed
		}
	}
	return nil
}
