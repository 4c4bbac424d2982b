package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"rhumb"
)

// linkServices fills in RestartOn: the hashes of what a service is replaced together with, so that its own hash changes
// when theirs do. These are the services that it depends on with restart or shares a namespace with, its hooks, and for
// a hook its service. Services that depend on one another are Invalid.
func linkServices(m *rhumb.Stack) error {
	for i := range m.Services {
		m.Services[i].Container.RestartOn = nil
	}
	order, err := byDependency(m)
	if err != nil {
		return err
	}
	for _, s := range order {
		linkDependencies(s, m)
		linkPreStart(s)
	}
	linkHooks(m)
	return nil
}

// byDependency returns the services of a model, each after the ones that it depends on.
func byDependency(m *rhumb.Stack) ([]*rhumb.Service, error) {
	var order []*rhumb.Service
	done := map[string]bool{}
	var visit func(s *rhumb.Service, path []string) error
	visit = func(s *rhumb.Service, path []string) error {
		if s == nil || done[s.Name] {
			return nil
		}
		circle := slices.Contains(path, s.Name)
		if path = append(path, s.Name); circle {
			return rhumb.Errorf(rhumb.Invalid, "services depend on one another: %s", strings.Join(path, " -> "))
		}
		for _, d := range s.DependsOn {
			if err := visit(m.Service(d.Service), path); err != nil {
				return err
			}
		}
		done[s.Name] = true
		order = append(order, s)
		return nil
	}
	for i := range m.Services {
		if err := visit(&m.Services[i], nil); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// linkDependencies has a service replaced together with services that it depends on with restart, or shares a namespace
// with.
func linkDependencies(s *rhumb.Service, m *rhumb.Stack) {
	for _, d := range s.DependsOn {
		other := m.Service(d.Service)
		if other != nil && (d.Restart || slices.Contains(s.Container.Joins(), d.Service)) {
			restartOn(s, d.Service, other.Container.Hash())
		}
	}
}

// linkPreStart has a service replaced when the hooks that run before each of its replicas change.
func linkPreStart(s *rhumb.Service) {
	if len(s.PreStart) == 0 {
		return
	}
	var hashes []string
	for i := range s.PreStart {
		hashes = append(hashes, s.PreStart[i].Container.Hash())
	}
	b, err := json.Marshal(hashes)
	if err != nil {
		panic(err) // strings
	}
	sum := sha256.Sum256(b)
	restartOn(s, s.Name+"."+string(rhumb.HookPreStart), hex.EncodeToString(sum[:]))
}

// linkHooks has a service's pre_start hooks run again whenever its replicas are replaced.
func linkHooks(m *rhumb.Stack) {
	for i := range m.Services {
		s := &m.Services[i]
		if of := hooksService(s, m); of != nil {
			s.Container.RestartOn = map[string]string{of.Name: of.Container.Hash()}
		}
	}
}

func restartOn(s *rhumb.Service, name, hash string) {
	if s.Container.RestartOn == nil {
		s.Container.RestartOn = map[string]string{}
	}
	s.Container.RestartOn[name] = hash
}
