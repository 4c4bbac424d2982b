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

// Image is an image in an engine.
type Image struct {
	Ref     string // as it was asked for
	ID      string // "sha256:…"
	Digest  string `json:",omitzero"` // "name@sha256:…", as the registry knows it; "": it was built here
	Pulled  bool   `json:",omitzero"` // rhumb pulled or built it; rhumb removes no other images
	Size    int64
	Volumes []string     `json:",omitzero"` // declared by the image
	Ports   []string     `json:",omitzero"` // exposed by it: "80/tcp"
	Health  *Healthcheck `json:",omitzero"`
}

// Images are an engine's images. Its methods are idempotent, and return Unavailable while the engine can't be reached.
type Images interface {
	// Resolve returns the image behind a reference, and pulls it if the policy says so. It reports progress, which
	// may be nil. NotFound: there is no such image. Denied: the registry rejects the credentials. Unavailable: the
	// registry can't be reached.
	Resolve(ctx context.Context, r ImageRequest, progress func(ImageProgress)) (Image, error)
	// Keep protects a release's image from pruning by a mark, a name of rhumb's: "rhumb.local/STACK-SERVICE:RELEASE".
	// NotFound: there is no such image.
	Keep(ctx context.Context, stack, service string, release int, id string) error
	// Release removes that mark. With remove it also removes the image and the names under which rhumb pulled or
	// built it, unless a container, another release, or a name that rhumb didn't give still uses it.
	Release(ctx context.Context, stack, service string, release int, remove bool) error
	// Sweep removes the images that rhumb pulled or built and that nothing needs: they are not in needed, and no
	// release (Keep), no container and no name that rhumb didn't give uses them. An image whose last name is younger
	// than unused stays. It returns roughly how many bytes became free.
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

// ImageProgress is how far a pull has come, in bytes. Total is 0 until it is known.
type ImageProgress struct {
	Ref         string
	Done, Total int64
}

// Builder builds images.
type Builder interface {
	// Build builds an image from a context, which is a tar stream. It reports progress, which may be nil.
	// Invalid: the build fails; the message has the Dockerfile's line and the last output. Unavailable: the disk is
	// nearly full, or a registry can't be reached. Denied: a registry rejects the credentials.
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

// BuildProgress is a step of a build, or a line of its output.
type BuildProgress struct {
	Service string
	Step    string // "[2/5] RUN apt-get install -y nginx"
	Cached  bool   `json:",omitzero"`
	Done    bool   `json:",omitzero"` // the step ended
	Output  string `json:",omitzero"` // a line that the step printed
}
