package release

import (
	"cmp"
	"context"

	"rhumb"
)

// inheritImages sets the image of hooks without one to the image of their service.
func (d *draft) inheritImages(context.Context) error {
	for i := range d.model.Services {
		s := &d.model.Services[i]
		if of := hooksService(s, d.model); of != nil && s.Container.Image == "" {
			inheritImage(&s.Container, of)
			if s.Pull = of.Pull; of.Build != nil {
				s.Pull = rhumb.PullNever
			}
		}
		for j := range s.PreStart {
			if c := &s.PreStart[j].Container; c.Image == "" {
				inheritImage(c, s)
			}
		}
	}
	return nil
}

func inheritImage(c *rhumb.Container, of *rhumb.Service) {
	c.Image, c.Platform = of.Container.Image, of.Container.Platform
}

// hooksService returns the service that s is a pre_start hook of; nil: s is no hook.
func hooksService(s *rhumb.Service, m *rhumb.Stack) *rhumb.Service {
	of, _, ok := rhumb.HookOf(s.Name)
	if !ok {
		return nil
	}
	return m.Service(of)
}

// inheritsImage reports whether s is a hook that will run its service's image.
func inheritsImage(s *rhumb.Service, m *rhumb.Stack) bool {
	of := hooksService(s, m)
	return of != nil && of.Container.Image != ""
}

// imaged is something in a stack that needs an image, and how its image is found.
type imaged struct {
	name      string // of the service, or as HookService names the hook, or mountedAs the mount
	container *rhumb.Container
	pull      rhumb.PullPolicy
	built     bool
}

// mountedAs returns the name under which a release keeps an image that a service mounts.
func mountedAs(service string, m *rhumb.Mount) string { return service + ":" + m.Target }

// allImaged returns everything that needs an image: services, hooks that run before each replica, and the images that
// both mount.
func allImaged(m *rhumb.Stack) []imaged {
	var list []imaged
	add := func(name string, c *rhumb.Container, pull, mounts rhumb.PullPolicy, built bool) {
		list = append(list, imaged{name, c, pull, built})
		for i := range c.Mounts {
			if m := &c.Mounts[i]; m.Type == rhumb.MountImage {
				mounted := &rhumb.Container{Image: m.Source, Platform: c.Platform}
				list = append(list, imaged{mountedAs(name, m), mounted, mounts, false})
			}
		}
	}
	for i := range m.Services {
		s := &m.Services[i]
		mounts := s.Pull
		if s.Build != nil || mounts == rhumb.PullBuild {
			mounts = rhumb.PullMissing // the service's own image is built; the images that it mounts aren't
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
