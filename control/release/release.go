// Package release makes releases: of a model that somebody deploys, or of the current one, changed. In a release nothing is left to decide.
package release

import (
	"context"
	"sync"
	"time"

	"rhumb"
)

// Maker makes releases of models. All its exported fields must be set.
type Maker struct {
	Engine  Engine
	Images  Images
	Store   Store
	Ports   Ports
	Current func(ctx context.Context, stack string) (*rhumb.Release, error) // the release that serves; nil: none does
	Key     []byte                                                          // of the hashes of contents

	choosing sync.Mutex // held while host ports are chosen
}

// Engine has the networks and volumes that a model needs.
type Engine interface {
	Info(ctx context.Context) (rhumb.EngineInfo, error)
	CheckNetwork(ctx context.Context, stack string, n rhumb.Network) error
	CheckVolume(ctx context.Context, stack string, v rhumb.Volume) error
	Holdings(ctx context.Context, stack string) (rhumb.Holdings, error)
}

// Images finds images.
type Images interface {
	Resolve(ctx context.Context, r rhumb.ImageRequest, progress func(rhumb.ImageProgress)) (rhumb.Image, error)
}

// Store has the server's values and releases, and keeps what was chosen.
type Store interface {
	Value(ctx context.Context, name string) ([]byte, error)
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error

	Stacks(ctx context.Context) ([]rhumb.StackState, error)
	Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error)
	Release(ctx context.Context, stack string, number int) (rhumb.Release, error)
}

// Ports knows which host ports can be had.
type Ports interface {
	// FreePort finds a host port for a port that names none, or a range of them. pick says which ones are taken, and
	// which of the others are better.
	FreePort(ctx context.Context, p rhumb.Port, pick func(uint16) (taken, better bool)) (uint16, error)
	// Check is Conflict if a model's ports and hosts can't be had.
	Check(ctx context.Context, m *rhumb.Stack) error
}

// Validate refuses a model that no release can be made of.
func Validate(m rhumb.Stack) error {
	if m.Name == "" {
		return rhumb.Errorf(rhumb.Invalid, "the stack has no name").WithHint("write name: at the top of the Compose file, or give -p NAME")
	}
	seen := map[string]bool{}
	for _, s := range m.Services {
		switch {
		case s.Name == "" || seen[s.Name]:
			return rhumb.Errorf(rhumb.Invalid, "service %q: the name is empty or there twice", s.Name)
		case s.Container.Image == "" && !inheritsImage(&s, &m):
			return rhumb.Errorf(rhumb.Invalid, "service %s: it has no image", s.Name).WithHint("write image: or build:")
		case s.Replicas < 0 || s.Replicas > maxReplicas:
			return rhumb.Errorf(rhumb.Invalid, "service %s: %d replicas are out of range", s.Name, s.Replicas).WithHint("from 0 to %d", maxReplicas)
		}
		seen[s.Name] = true
	}
	return nil
}

const maxReplicas = 10_000

func newRelease(m rhumb.Stack, images map[string]rhumb.Image) *rhumb.Release {
	return &rhumb.Release{ReleaseInfo: rhumb.ReleaseInfo{Stack: m.Name, At: time.Now(), Images: images, Specs: m.Specs()}, Model: m}
}
