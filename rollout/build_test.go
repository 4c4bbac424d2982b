package rollout

import (
	"fmt"
	"time"

	"rhumb"
)

// This file holds what the tests build their stacks and worlds with.

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// web is a service behind a port, start-first, probed by TCP.
func web(replicas int, image string) rhumb.Service {
	return rhumb.Service{
		Name: "web", Replicas: replicas, Container: rhumb.Container{Image: image}, Order: rhumb.StartFirst,
		Update: rhumb.Policy{Parallelism: 1}, Rollback: rhumb.Policy{Parallelism: 1},
		Ready: rhumb.Ready{Kind: rhumb.ReadyTCP, Port: 80}, Drain: 10 * time.Second,
		Ports: []rhumb.Port{{Published: 80, Target: 80, Protocol: rhumb.TCP}},
	}
}

// db is a stop-first service without ports.
func db(image string) rhumb.Service {
	return rhumb.Service{
		Name: "db", Replicas: 1, Container: rhumb.Container{Image: image},
		Order: rhumb.StopFirst, OrderWhy: "mounts volume data read-write",
		Ready: rhumb.Ready{Kind: rhumb.ReadyHealth},
	}
}

// migrate is a job.
func migrate(image string) rhumb.Service {
	return rhumb.Service{Name: "migrate", Job: true, Replicas: 1, Container: rhumb.Container{Image: image},
		Ready: rhumb.Ready{Kind: rhumb.ReadyExit}}
}

func after(s rhumb.Service, on string, c rhumb.Condition) rhumb.Service {
	s.DependsOn = append(s.DependsOn, rhumb.Dependency{Service: on, Condition: c})
	return s
}

func stack(services ...rhumb.Service) *rhumb.Stack {
	return &rhumb.Stack{Name: "shop", Services: services}
}

// world is an Observed that tests change step by step.
type world Observed

// serving returns the world in which a release of the model serves.
func serving(release int, m *rhumb.Stack) world {
	o := world{Ready: map[string]time.Time{}, Recorded: map[string]bool{}, Routes: map[string]Route{},
		Published: map[string]string{}}
	for _, n := range m.Networks {
		o.Networks = append(o.Networks, n.Name)
	}
	for _, v := range m.Volumes {
		o.Volumes = append(o.Volumes, v.Name)
	}
	for i := range m.Services {
		s := &m.Services[i]
		for slot := 1; slot <= s.Replicas; slot++ {
			r := replica(s, release, slot)
			if s.Job {
				r.State, r.Finished = rhumb.StateExited, r.Started.Add(time.Second)
			} else {
				o.Ready[r.ID] = r.Started.Add(time.Second)
				if s.Served() {
					o.Routes[r.ID] = Route{}
				}
			}
			o.Replicas = append(o.Replicas, r)
		}
		for _, a := range s.Addresses() {
			o.Published[a] = s.Name
		}
	}
	return o
}

// replica is a replica that has run for an hour. Its ID is "web.41.1".
func replica(s *rhumb.Service, release, slot int) rhumb.Replica {
	return rhumb.Replica{ID: fmt.Sprintf("%s.%d.%d", s.Name, release, slot), Stack: "shop", Service: s.Name,
		Release: release, Slot: slot, Spec: s.Container.Hash(), State: rhumb.StateRunning,
		Created: noon.Add(-time.Hour), Started: noon.Add(-time.Hour)}
}

// with changes the replica of that ID.
func (o world) with(id string, change func(r *rhumb.Replica)) world {
	for i := range o.Replicas {
		if o.Replicas[i].ID == id {
			change(&o.Replicas[i])
			return o
		}
	}
	panic("no replica " + id)
}

// died makes a replica exit just now.
func died(code int) func(r *rhumb.Replica) {
	return func(r *rhumb.Replica) { r.State, r.ExitCode, r.Finished = rhumb.StateExited, code, noon }
}

func deploy(release int, from, to *rhumb.Stack) Wanted {
	return Wanted{Stack: "shop", Release: release, Model: to, Previous: from, Mode: Deploy, RunJobs: true}
}

func words(steps []rhumb.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.String())
	}
	return out
}
