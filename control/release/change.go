package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// Change makes a release from the current one: with other numbers of replicas (CauseScale), or with services whose
// replicas are replaced (CauseRestart). It does not modify the current one. An unknown service is NotFound.
func Change(cur *rhumb.Release, r rhumb.ChangeRequest) (*rhumb.Release, error) {
	model := copyModel(cur.Model)
	var note string
	var err error
	switch r.Cause {
	case rhumb.CauseScale:
		note, err = scale(&model, r.Scale)
	case rhumb.CauseRestart:
		note, err = restart(&model, r.Services)
	default:
		err = rhumb.Errorf(rhumb.Invalid, "a stack can't be changed by %q", r.Cause)
	}
	if err != nil {
		return nil, err
	}
	rel := newRelease(model, cur.Images)
	rel.By, rel.Cause, rel.Note, rel.Git, rel.Origin = r.By, r.Cause, note, cur.Git, cur.Origin
	return rel, nil
}

func scale(m *rhumb.Stack, to map[string]int) (note string, err error) {
	if len(to) == 0 {
		return "", rhumb.Errorf(rhumb.Invalid, "no service to scale").WithHint("rhumb scale web=3")
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(to)) {
		s, n := m.Service(name), to[name]
		switch {
		case s == nil:
			return "", NoService(m, name)
		case s.Job:
			return "", rhumb.Errorf(rhumb.Invalid, "service %s is a job: it runs once", name)
		case n < 0 || n > maxReplicas:
			return "", outOfRange(name, n)
		}
		s.Replicas = n
		words = append(words, fmt.Sprintf("%s=%d", name, n))
	}
	return "scale " + strings.Join(words, " "), nil
}

func restart(m *rhumb.Stack, names []string) (note string, err error) {
	if len(names) == 0 {
		for _, s := range m.Services {
			if !s.Job {
				names = append(names, s.Name)
			}
		}
	}
	for _, name := range names {
		s := m.Service(name)
		if s == nil {
			return "", NoService(m, name)
		}
		if s.Job {
			return "", rhumb.Errorf(rhumb.Invalid, "service %s is a job: it runs once per release", name)
		}
		s.Container.RestartedAt = time.Now().UTC()
	}
	return "restart " + strings.Join(names, " "), linkServices(m) // services that share a namespace with these follow
}

// NoService returns the error for a service that a model doesn't have. Its hint lists the ones that it has.
func NoService(m *rhumb.Stack, name string) error {
	var names []string
	for _, s := range m.Services {
		names = append(names, s.Name)
	}
	return rhumb.Errorf(rhumb.NotFound, "stack %s has no service %q", m.Name, name).
		WithHint("it has %s", strings.Join(names, ", "))
}
