package scene

import (
	"time"

	"rhumb"
)

// Wait returns how long callers inside the stack wait for a service after a step of a planned change; 0: no replica
// will come.
func (s *Scene) Wait(service string) time.Duration {
	svc := s.Wanted.Model.Service(service)
	if svc == nil || svc.Job || svc.Replicas == 0 {
		return 0
	}
	return wait(svc)
}

// wait is as long as callers outside wait, and as long as a planned gap of the service may take.
func wait(svc *rhumb.Service) time.Duration { return max(svc.HoldOrUsual(), svc.Gap()) }

// Arriving returns, by service, until when callers wait for its first replica while a deployment is open.
func (s *Scene) Arriving(now time.Time) map[string]time.Time {
	until := map[string]time.Time{}
	if s.Open == nil || s.Wanted.Model == nil {
		return until
	}
	for _, svc := range s.Wanted.Model.Services {
		if svc.Replicas > 0 {
			until[svc.Name] = now.Add(wait(&svc))
		}
	}
	return until
}

// StopFirst reports whether the service is stop-first in the wanted or in the previous release. A change between the
// two has a gap then.
func (s *Scene) StopFirst(service string) bool {
	for _, m := range []*rhumb.Stack{s.Wanted.Model, s.Wanted.Previous} {
		if svc := m.Service(service).Applied(); svc != nil && svc.Order == rhumb.StopFirst {
			return true
		}
	}
	return false
}
