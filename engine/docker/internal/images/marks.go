package images

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/image"
)

// Extra names mark the images that are rhumb's: "rhumb.local/pulled/NAME:ID" for an image that was pulled under that
// name, "rhumb.local/built/NAME:ID" for one that was built. Only marked images are ever pruned. Older versions of rhumb
// marked a pulled image as "rhumb.local/pulled:ID".
const (
	pulledMark    = "pulled/"
	oldPulledMark = "pulled:"
	builtMark     = "built/"
)

// marks are the names that mark images as rhumb's, by their prefix.
type marks string

// Prefix begins rhumb's own names of images.
const Prefix = "rhumb.local/"

// of returns the mark of an image that was pulled or built under a name.
func (m marks) of(kind, name, id string) string {
	return string(m) + kind + repositoryOf(name) + ":" + strings.TrimPrefix(id, "sha256:")
}

// on reports whether an image with these names is marked.
func (m marks) on(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		own, ok := strings.CutPrefix(n, string(m))
		return ok && (strings.HasPrefix(own, pulledMark) || strings.HasPrefix(own, oldPulledMark) ||
			strings.HasPrefix(own, builtMark))
	})
}

// called is the names of an image, by origin.
type called struct {
	marks   []string // rhumb's
	kept    []string // rhumb's, of releases
	origin  []string // those under which it was pulled or built
	foreign []string // all others
}

// sort sorts an image's names by origin. built is one more repository under which rhumb built it; "" is none.
func (m marks) sort(i *image.InspectResponse, built string) called {
	var c called
	origin, as := map[string]bool{}, map[string]bool{}
	if !m.digestsOfAll(i) {
		for _, d := range i.RepoDigests {
			origin[repository(d)] = true
		}
	}
	if built != "" {
		origin[repository(built)] = true
	}
	var rest []string
	for _, n := range i.RepoTags {
		own, _ := strings.CutPrefix(n, string(m))
		switch {
		case own != n && strings.HasPrefix(own, oldPulledMark):
			c.marks = append(c.marks, n)
		case own != n && (strings.HasPrefix(own, builtMark) || strings.HasPrefix(own, pulledMark)):
			_, name, _ := strings.Cut(own, "/")
			name, _, _ = strings.Cut(name, ":")
			as[name] = true
			c.marks = append(c.marks, n)
		case strings.HasPrefix(n, Prefix):
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
func (m marks) digestsOfAll(i *image.InspectResponse) bool {
	return slices.ContainsFunc(i.RepoDigests, func(d string) bool {
		return strings.HasPrefix(d, string(m)) || strings.HasPrefix(d, Prefix)
	})
}
