package release

import (
	"context"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// chooseReady decides for each service which check its replicas must pass to be ready.
func (d *draft) chooseReady(context.Context) error {
	for i := range d.model.Services {
		s := &d.model.Services[i]
		chooseReady(s, d.images[s.Name])
	}
	return nil
}

// chooseReady fills in the service's check and its times, where the user has set none.
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

// chooseCheck chooses the check of a service that has none of its own: an HTTP request, a connect to a published port,
// a connect to an exposed port, or else that the replica keeps running.
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

// serves reports whether the service probably listens on the ports that its image exposes: it runs the image's own
// command and is restarted whenever it ends. A worker that runs another command of the image listens nowhere.
func serves(s *rhumb.Service) bool {
	c := &s.Container
	return c.Command == nil && c.Entrypoint == nil && c.NetworkMode == "" &&
		(s.Restart.Condition == "" || s.Restart.Condition == rhumb.RestartAny)
}

// tcpPorts returns the TCP ports in a list like ["8000/tcp", "53/udp"], at most maxProbed.
func tcpPorts(exposed []string) []uint16 {
	var ports []uint16
	for _, e := range exposed {
		number, protocol, _ := strings.Cut(e, "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err == nil && port > 0 && (protocol == "" || protocol == "tcp") && len(ports) < maxProbed {
			ports = append(ports, uint16(port))
		}
	}
	return ports
}

// maxProbed is how many ports of a replica are probed at most.
const maxProbed = 16

func checked(h *rhumb.Healthcheck) bool {
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// readyLimit returns how long a replica may take to become ready: as its health check allows, at least a minute.
func readyLimit(s *rhumb.Service) time.Duration {
	if s.Ready.Kind != rhumb.ReadyHealth {
		return rhumb.ReadyTimeout
	}
	h := WithDefaults(*s.Container.Health)
	return max(rhumb.ReadyTimeout, h.StartPeriod+time.Duration(h.Retries)*(h.Interval+h.Timeout))
}

// WithDefaults returns a health check with the Docker Engine's defaults where it sets nothing.
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
