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

// imaged is a container of a stack and how its image is found.
type imaged struct {
	name      string // of the service, or as HookService names the hook
	container *rhumb.Container
	pull      rhumb.PullPolicy
	built     bool
}

// allImaged returns all containers of a stack: those of services, and those of hooks that run before each replica.
func allImaged(m *rhumb.Stack) []imaged {
	var list []imaged
	for i := range m.Services {
		s := &m.Services[i]
		list = append(list, imaged{s.Name, &s.Container, s.Pull, s.Build != nil})
		for j := range s.PreStart {
			h := &s.PreStart[j]
			x := imaged{rhumb.HookService(s.Name, h.Number), &h.Container, cmp.Or(h.Pull, s.Pull), false}
			if h.Container.Image == s.Container.Image && s.Build != nil {
				x.pull = rhumb.PullNever
			}
			list = append(list, x)
		}
	}
	return list
}
