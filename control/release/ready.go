package release

import (
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// chooseReady decides how the service's replicas show that they are ready, unless the user said it.
func chooseReady(s *rhumb.Service, img rhumb.Image) {
	r := &s.Ready
	switch {
	case s.Job:
		r.Kind = rhumb.ReadyExit
		return
	case r.Kind != "":
	case checked(s.Container.Health):
		r.Kind = rhumb.ReadyHealth
	default:
		chooseCheck(s, img)
	}
	switch r.Kind {
	case rhumb.ReadyRunning:
		if r.Window = r.Timeout; r.Window == 0 {
			r.Window = max(rhumb.ReadyWindow, s.Update.Monitor)
		}
	case rhumb.ReadyTCP, rhumb.ReadyExposed:
		r.Window = rhumb.ReadyWindow
	}
	if r.Timeout == 0 {
		r.Timeout = readyLimit(s)
	}
}

// chooseCheck finds the best check of a service that has none of its own: an HTTP request, a connect to a port that
// is published, or a connect to one that is exposed.
func chooseCheck(s *rhumb.Service, img rhumb.Image) {
	r := &s.Ready
	for _, p := range s.Ports {
		if p.Protocol == rhumb.HTTP {
			r.Kind, r.Port, r.Path = rhumb.ReadyAnswer, p.Target, "/"
			return
		}
	}
	for _, rt := range s.Routes {
		r.Kind, r.Port, r.Path = rhumb.ReadyAnswer, rt.Port, "/"+strings.TrimPrefix(rt.Path, "/")
		r.Host = strings.Replace(rt.Host, "*", "rhumb-ready", 1)
		return
	}
	for _, p := range s.Ports {
		if p.Protocol == rhumb.TCP {
			r.Kind, r.Port = rhumb.ReadyTCP, p.Target
			return
		}
	}
	c := &s.Container
	reachable := c.NetworkMode == "" || c.NetworkMode == "host" || strings.HasPrefix(c.NetworkMode, "service:")
	if ports := tcpPorts(c.Expose); len(ports) > 0 && reachable && s.Restart.Condition != rhumb.RestartNone {
		r.Kind, r.Ports = rhumb.ReadyTCP, ports
		return
	}
	if ports := tcpPorts(img.Ports); len(ports) > 0 && serves(s) {
		r.Kind, r.Ports = rhumb.ReadyExposed, ports
		return
	}
	r.Kind = rhumb.ReadyRunning
}

// serves reports whether a service may be taken for the server that its image is made for: it runs the image's own
// command, and goes on for good. A worker of the same image listens nowhere.
func serves(s *rhumb.Service) bool {
	c := &s.Container
	return c.Command == nil && c.Entrypoint == nil && c.NetworkMode == "" &&
		(s.Restart.Condition == "" || s.Restart.Condition == rhumb.RestartAny)
}

// tcpPorts returns the TCP ports of a list like "8000/tcp", at most maxAsked.
func tcpPorts(exposed []string) []uint16 {
	var ports []uint16
	for _, e := range exposed {
		number, protocol, _ := strings.Cut(e, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err == nil && port > 0 && (protocol == "" || protocol == "tcp") && len(ports) < maxAsked {
			ports = append(ports, uint16(port))
		}
	}
	return ports
}

// maxAsked is how many ports of a replica are asked at most.
const maxAsked = 16

func checked(h *rhumb.Healthcheck) bool {
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// readyLimit is the time by which a replica must be ready: what its health check allows, and a minute at least.
func readyLimit(s *rhumb.Service) time.Duration {
	if s.Ready.Kind != rhumb.ReadyHealth {
		return rhumb.ReadyTimeout
	}
	h := WithDefaults(*s.Container.Health)
	return max(rhumb.ReadyTimeout, h.StartPeriod+time.Duration(h.Retries)*(h.Interval+h.Timeout))
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
