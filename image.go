package rhumb

import (
	"context"
	"io"
	"time"
)

// PullPolicy is Compose's pull_policy.
type PullPolicy string

const (
	PullMissing PullPolicy = "missing" // the default ("" and "if_not_present" too)
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
	PullBuild   PullPolicy = "build"
)

// Image is an image that an engine has.
type Image struct {
	Ref     string // as it was asked for
	ID      string // "sha256:…"
	Digest  string `json:",omitzero"` // "name@sha256:…" as the registry knows it; "" for one that was built here
	Pulled  bool   `json:",omitzero"` // rhumb pulled or built it; only such images are ever removed
	Size    int64
	Volumes []string     `json:",omitzero"` // declared by the image
	Ports   []string     `json:",omitzero"` // exposed by it: "80/tcp"
	Health  *Healthcheck `json:",omitzero"`
}

// Images are an engine's images.
type Images interface {
	// Resolve finds the image that a reference means, and pulls it if the policy says so. One that can't be had is
	// NotFound, or Denied when the registry wants other credentials.
	Resolve(ctx context.Context, r ImageRequest, progress func(ImageProgress)) (Image, error)
	// Keep protects an image of a release from pruning, under a name of rhumb's own: "rhumb.local/STACK-SERVICE:RELEASE".
	Keep(ctx context.Context, stack, service string, release int, id string) error
	// Release takes that name away again, and when remove is set, removes the image with the names
	// it was pulled or built under, unless a container, another release or a name that somebody else gave it uses it.
	Release(ctx context.Context, stack, service string, release int, remove bool) error
	// Sweep removes the images that rhumb pulled or built and that nobody needs: not one of the IDs in needed, and used by no
	// release (Keep), no container and no name that somebody else gave. One that got a name less than unused ago stays.
	// It gives the bytes that became free, about.
	Sweep(ctx context.Context, needed []string, unused time.Duration) (freed int64, err error)
}

// ImageRequest asks for an image.
type ImageRequest struct {
	Ref      string
	Platform string
	Policy   PullPolicy
	Auth     map[string]Credentials // by registry host, as in the user's Docker configuration
}

// Credentials open a registry. They travel with a request and are never stored.
type Credentials struct{ Username, Password, IdentityToken string }

// ImageProgress is how far a pull has come, in bytes; Total is 0 while it isn't known.
type ImageProgress struct {
	Ref         string
	Done, Total int64
}

// Builder builds images.
type Builder interface {
	// Build builds an image from a context, which is a tar stream. A failing build is Invalid; its message names the Dockerfile's line and
	// holds the last output.
	Build(ctx context.Context, r BuildRequest, context io.Reader, progress func(BuildProgress)) (Image, error)
}

// BuildRequest asks for an image to be built.
type BuildRequest struct {
	Stack, Service string
	Build          Build
	Name           string                 // the image's name: "shop-web:1f3c9a2-dirty"
	Secrets        map[string][]byte      `json:",omitzero"` // by ID
	Auth           map[string]Credentials `json:",omitzero"`
}

// BuildProgress is one line of news from a build.
type BuildProgress struct {
	Service string
	Step    string // "[2/5] RUN apt-get install -y nginx"
	Cached  bool   `json:",omitzero"`
	Done    bool   `json:",omitzero"` // the step ended
	Output  string `json:",omitzero"` // a line that the step printed
}
