package release

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"rhumb"
)

// What hooks are made of is settled with the release: their images, and the hashes by which a change is seen.

// inheritImages gives hooks without an image of their own that of their service.
func inheritImages(m *rhumb.Stack) {
	for i := range m.Services {
		s := &m.Services[i]
		if of := hooksService(s, m); of != nil && s.Container.Image == "" {
			inheritImage(&s.Container, of)
			if s.Pull = of.Pull; of.Build != nil {
				s.Pull = rhumb.PullNever
			}
		}
		s.PreStart = slices.Clone(s.PreStart)
		for j := range s.PreStart {
			k := &s.PreStart[j].Container
			k.Mounts = slices.Clone(k.Mounts)
			if k.Image == "" {
				inheritImage(k, s)
			}
		}
	}
}

func inheritImage(k *rhumb.Container, of *rhumb.Service) {
	k.Image, k.Platform = of.Container.Image, of.Container.Platform
}

// hooksService gives the service whose pre_start hook s is; nil: it is none.
func hooksService(s *rhumb.Service, m *rhumb.Stack) *rhumb.Service {
	of, _, ok := rhumb.HookOf(s.Name)
	if !ok {
		return nil
	}
	return m.Service(of)
}

// inheritsImage tells whether the service is a hook that will have its service's image.
func inheritsImage(s *rhumb.Service, m *rhumb.Stack) bool {
	of := hooksService(s, m)
	return of != nil && of.Container.Image != ""
}

// imaged is something of a stack that needs an image.
type imaged struct {
	name      string // the service's, as HookService names it, or as mountedAs does
	container *rhumb.Container
	pull      rhumb.PullPolicy
	built     bool
}

// mountedAs is the name under which a release has an image that a service mounts.
func mountedAs(service string, m *rhumb.Mount) string { return service + ":" + m.Target }

// allImaged lists all that needs an image: services, their hooks, and what both mount.
func allImaged(m *rhumb.Stack) []imaged {
	var list []imaged
	add := func(name string, c *rhumb.Container, pull, mounts rhumb.PullPolicy, built bool) {
		list = append(list, imaged{name, c, pull, built})
		for i := range c.Mounts {
			if m := &c.Mounts[i]; m.Type == rhumb.MountImage {
				list = append(list, imaged{mountedAs(name, m), &rhumb.Container{Image: m.Source, Platform: c.Platform}, mounts, false})
			}
		}
	}
	for i := range m.Services {
		s := &m.Services[i]
		mounts := s.Pull
		if s.Build != nil || mounts == rhumb.PullBuild {
			mounts = rhumb.PullMissing // the service's own image is built, those that it mounts aren't
		}
		add(s.Name, &s.Container, s.Pull, mounts, s.Build != nil)
		for j := range s.PreStart {
			h := &s.PreStart[j]
			pull := cmp.Or(h.Pull, s.Pull)
			if h.Container.Image == s.Container.Image && s.Build != nil {
				pull = rhumb.PullNever
			}
			add(rhumb.HookService(s.Name, h.Number), &h.Container, pull, mounts, false)
		}
	}
	return list
}

// preStartKey is the name under which a service's RestartOn has the hash of the hooks that run before each of its replicas.
func preStartKey(service string) string { return service + "." + string(rhumb.HookPreStart) }

// linkPreStart makes a service's replicas new when the hooks that run before each of them change.
func linkPreStart(s *rhumb.Service) {
	if len(s.PreStart) == 0 {
		return
	}
	if s.Container.RestartOn == nil {
		s.Container.RestartOn = map[string]string{}
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
	s.Container.RestartOn[preStartKey(s.Name)] = hex.EncodeToString(sum[:])
}

// linkHooks makes a service's pre_start hooks new when the service is: so they run whenever its replicas are replaced.
func linkHooks(m *rhumb.Stack) {
	for i := range m.Services {
		s := &m.Services[i]
		if of := hooksService(s, m); of != nil {
			s.Container.RestartOn = map[string]string{of.Name: of.Container.Hash()}
		}
	}
}
