package release

import (
	"time"

	"rhumb"
	"rhumb/control/routing"
)

// chooseReady decides how the service's replicas show that they are ready, unless the user said it.
func chooseReady(s *rhumb.Service) {
	switch {
	case s.Job:
		s.Ready.Kind = rhumb.ReadyExit
	case s.Ready.Kind != "":
	case checked(s.Container.Health):
		s.Ready.Kind = rhumb.ReadyHealth
	default:
		s.Ready.Kind = rhumb.ReadyRunning
		for _, t := range routing.Targets(s) {
			if t.Protocol != rhumb.UDP {
				s.Ready.Kind, s.Ready.Port = rhumb.ReadyTCP, t.Port
				break
			}
		}
	}
	if s.Ready.Timeout == 0 {
		s.Ready.Timeout = readyLimit(s)
	}
}

func checked(h *rhumb.Healthcheck) bool {
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// readyLimit is the time by which a replica must be ready: what its health check allows, and a minute at least.
func readyLimit(s *rhumb.Service) time.Duration {
	switch s.Ready.Kind {
	case rhumb.ReadyExit:
		return 0
	case rhumb.ReadyRunning:
		return max(readyWindow, s.Update.Monitor)
	case rhumb.ReadyHealth:
		h := WithDefaults(*s.Container.Health)
		return max(readyTimeout, h.StartPeriod+time.Duration(h.Retries)*(h.Interval+h.Timeout))
	default:
		return readyTimeout
	}
}

// WithDefaults fills in the defaults of the Docker Engine.
func WithDefaults(h rhumb.Healthcheck) rhumb.Healthcheck {
	if h.Interval == 0 {
		h.Interval = 30 * time.Second
	}
	if h.Timeout == 0 {
		h.Timeout = 30 * time.Second
	}
	if h.Retries == 0 {
		h.Retries = 3
	}
	return h
}
