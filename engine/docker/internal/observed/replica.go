// Package observed converts Docker's containers to replicas, and remembers those that haven't changed.
package observed

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"rhumb"
	"rhumb/engine/docker/internal/label"
)

// Replica converts the engine's description of a container.
func Replica(c *container.InspectResponse) rhumb.Replica {
	l := c.Config.Labels
	r := rhumb.Replica{
		ID: c.ID, Stack: l[label.Stack], Service: l[label.Service], Spec: l[label.Spec], Joined: l[label.Joined],
		OneOff: l[label.OneOff], PostStart: l[label.PostStart] != "",
		Release: number(l[label.Release]), Slot: number(l[label.Slot]), Restarts: number(l[label.Restarts]),
		ImageID: c.Image, State: stateOf(c.State), Health: healthOf(c.State),
		ExitCode: c.State.ExitCode, OOM: c.State.OOMKilled, Error: c.State.Error,
		Created: Moment(c.Created), Started: Moment(c.State.StartedAt), Finished: Moment(c.State.FinishedAt),
	}
	if r.Alive() {
		r.Finished, r.ExitCode = time.Time{}, 0
	}
	if c.NetworkSettings != nil && r.Alive() {
		r.Addrs, r.Addrs6 = addresses(c.NetworkSettings)
	}
	return r
}

// addresses returns the address on each network, IPv4 where there is one, and beside it that of IPv6.
func addresses(n *container.NetworkSettings) (addrs, beside map[string]netip.Addr) {
	addrs, beside = map[string]netip.Addr{}, map[string]netip.Addr{}
	for name, ep := range n.Networks {
		switch {
		case ep == nil:
		case ep.IPAddress.IsValid():
			addrs[name] = ep.IPAddress
			if ep.GlobalIPv6Address.IsValid() {
				beside[name] = ep.GlobalIPv6Address
			}
		case ep.GlobalIPv6Address.IsValid():
			addrs[name] = ep.GlobalIPv6Address
		}
	}
	return filled(addrs), filled(beside)
}

// filled returns a map, or nil if it is empty.
func filled(m map[string]netip.Addr) map[string]netip.Addr {
	if len(m) == 0 {
		return nil
	}
	return m
}

// stateOf returns the state. The engine leaves a container that failed to start in "created", with an exit code.
func stateOf(s *container.State) rhumb.ReplicaState {
	switch {
	case s.Paused:
		return rhumb.StatePaused
	case s.Running:
		return rhumb.StateRunning
	case s.Status == container.StateCreated && s.Error == "" && s.ExitCode == 0:
		return rhumb.StateCreated
	}
	return rhumb.StateExited
}

func healthOf(s *container.State) rhumb.Health {
	if s.Health == nil || s.Health.Status == container.NoHealthcheck {
		return rhumb.HealthNone
	}
	return rhumb.Health(s.Health.Status)
}

// number parses a number that rhumb wrote into a label; 0 if it was changed.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// Moment parses one of the engine's times; its zero time becomes Go's.
func Moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// Name returns a container's name.
func Name(c *container.InspectResponse) string { return strings.TrimPrefix(c.Name, "/") }

// Short returns the short form of an ID, for people.
func Short(id string) string {
	if len(id) == 64 {
		return id[:12]
	}
	return id
}
