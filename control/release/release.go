// Package release makes releases: from the model of a deployment, or from the current release and a change to it.
// In a release everything is settled: images by ID, contents, host ports, readiness. Only how the strategy changes a
// service is decided later, by the rollout.
package release

import (
	"context"
	"sync"
	"time"

	"rhumb"
)

// Maker makes releases from models. All its exported fields must be set.
type Maker struct {
	Engine  Engine
	Images  Images
	Store   Store
	Ports   Ports
	Current func(ctx context.Context, stack string) (*rhumb.Release, error) // the release that serves; nil: none does
	Key     []byte                                                          // for the hashes of contents

	choosing sync.Mutex // held while host ports are chosen
}

// Engine knows whether it can have the networks and volumes of a model.
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

// Store has the server's values and releases, and keeps the ports that were chosen.
type Store interface {
	Value(ctx context.Context, name string) ([]byte, error)
	Setting(ctx context.Context, stack, key string) (string, error)
	SetSetting(ctx context.Context, stack, key, value string) error

	Stacks(ctx context.Context) ([]rhumb.StackState, error)
	Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error)
	Release(ctx context.Context, stack string, number int) (rhumb.Release, error)
}

// Ports knows which host ports are free.
type Ports interface {
	// FreePort returns a host port for a port that names none, or a range of them. pick reports whether a number is
	// taken, and whether it is better than the free ones for which it reports false. Without a free one, FreePort is
	// Conflict.
	FreePort(ctx context.Context, p rhumb.Port, pick func(uint16) (taken, better bool)) (uint16, error)
	// Check is Conflict if the ports or hosts of a model belong to another stack or process.
	Check(ctx context.Context, m *rhumb.Stack) error
}

// Validate is Invalid for a model that can't become a release.
func Validate(m rhumb.Stack) error {
	if m.Name == "" {
		return rhumb.Errorf(rhumb.Invalid, "the stack has no name").
			WithHint("write name: at the top of the Compose file, or pass -p NAME")
	}
	seen := map[string]bool{}
	for _, s := range m.Services {
		switch {
		case s.Name == "" || seen[s.Name]:
			return rhumb.Errorf(rhumb.Invalid, "service %q: empty or duplicate name", s.Name)
		case s.Container.Image == "" && !inheritsImage(&s, &m):
			return rhumb.Errorf(rhumb.Invalid, "service %s: it has no image", s.Name).WithHint("write image: or build:")
		case s.Replicas < 0 || s.Replicas > maxReplicas:
			return outOfRange(s.Name, s.Replicas)
		}
		seen[s.Name] = true
	}
	return nil
}

const maxReplicas = 10_000

func outOfRange(service string, replicas int) error {
	return rhumb.Errorf(rhumb.Invalid, "service %s: %d replicas are out of range", service, replicas).
		WithHint("from 0 to %d", maxReplicas)
}

func newRelease(m rhumb.Stack, images map[string]rhumb.Image) *rhumb.Release {
	info := rhumb.ReleaseInfo{Stack: m.Name, At: time.Now(), Images: images, Specs: m.Specs()}
	return &rhumb.Release{ReleaseInfo: info, Model: m}
}
