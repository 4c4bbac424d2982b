package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// Plan returns all steps from here to the end if nothing fails, in the order in which Next returns them. It performs
// them on a copy of o: there replicas are ready as soon as they are started, jobs complete, connections end and time
// passes.
func Plan(w Wanted, o Observed, now time.Time) []rhumb.Step {
	p := newRehearsal(w, o, now)
	p.run()
	p.w.Mode = Hold // old replicas may still drain when a deployment is done
	p.run()
	return p.steps
}

// rehearsal is a world in which every step has its effect at once.
type rehearsal struct {
	w     Wanted
	o     Observed
	now   time.Time
	made  int
	steps []rhumb.Step
}

func newRehearsal(w Wanted, o Observed, now time.Time) *rehearsal {
	p := &rehearsal{w: w, o: o, now: now}
	p.w.Specs, p.w.OldSpecs = w.Model.Specs(), w.Previous.Specs()
	p.o.StaleAddresses, p.o.StaleNames = false, nil // addresses and names only follow what is planned
	p.o.Replicas = slices.Clone(o.Replicas)
	p.o.Networks, p.o.Volumes = slices.Clone(o.Networks), slices.Clone(o.Volumes)
	p.o.Ready, p.o.Recorded, p.o.Stopping = clone(o.Ready), clone(o.Recorded), clone(o.Stopping)
	p.o.Routes, p.o.Published = clone(o.Routes), clone(o.Published)
	for i := range p.o.Replicas { // a replica that runs will be ready
		if r := &p.o.Replicas[i]; r.Alive() && r.Health != rhumb.HealthUnhealthy {
			if _, ok := p.o.Ready[r.ID]; !ok {
				p.o.Ready[r.ID] = now
			}
		}
	}
	return p
}

func clone[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// run takes turns until nothing is left to do. The bound is far beyond what any deployment needs.
func (p *rehearsal) run() {
	turns := 100 + 20*len(p.o.Replicas)
	if p.w.Model != nil {
		for i := range p.w.Model.Services {
			turns += 20 + 20*max(0, p.w.Model.Services[i].Replicas)
		}
	}
	for range turns {
		d := Next(p.w, p.o, p.now)
		if d.Failed != "" || len(d.Steps) == 0 && (d.Done || d.Wake.IsZero()) {
			return
		}
		if len(d.Steps) == 0 {
			p.now = d.Wake
		}
		for _, s := range d.Steps {
			p.steps = append(p.steps, s)
			p.obey(s)
		}
		if d.Done && p.w.Mode != Hold {
			return
		}
	}
}

// obey applies the effect of a step.
func (p *rehearsal) obey(s rhumb.Step) {
	switch s.Kind {
	case rhumb.StepNetwork:
		p.o.Networks = append(p.o.Networks, s.Name)
	case rhumb.StepVolume:
		p.o.Volumes = append(p.o.Volumes, s.Name)
	case rhumb.StepRemoveNetwork:
		p.o.Networks = slices.DeleteFunc(p.o.Networks, func(n string) bool { return n == s.Name })
	case rhumb.StepRemoveVolume:
		p.o.Volumes = slices.DeleteFunc(p.o.Volumes, func(n string) bool { return n == s.Name })
	case rhumb.StepPublish:
		p.o.Published[s.Name] = s.Service
	case rhumb.StepUnpublish:
		delete(p.o.Published, s.Name)
	case rhumb.StepStart, rhumb.StepRun:
		p.start(s)
	case rhumb.StepRoute:
		p.o.Routes[s.Replica] = Route{}
	case rhumb.StepDrain:
		p.o.Routes[s.Replica] = Route{Draining: true, Since: p.now}
	case rhumb.StepUnroute:
		delete(p.o.Routes, s.Replica)
	case rhumb.StepCheck:
		p.w.Checked = append(slices.Clone(p.w.Checked), s.Service)
	case rhumb.StepRecord:
		p.o.Recorded[s.Replica] = true
	case rhumb.StepStop:
		p.stop(s.Replica)
	case rhumb.StepRemove:
		p.remove(s.Replica)
	}
}

// start makes the replica, ready at once; a job has completed.
func (p *rehearsal) start(s rhumb.Step) {
	def := p.w.Model.Service(s.Service)
	if def == nil {
		return
	}
	name := rhumb.ReplicaName(s.Stack, s.Service, s.Release, s.Slot)
	p.o.Replicas = slices.DeleteFunc(p.o.Replicas, func(r rhumb.Replica) bool {
		return r.ID == s.Replica && s.Replica != "" || r.State == rhumb.StateCreated && r.Name() == name
	})
	p.made++
	r := rhumb.Replica{ID: fmt.Sprintf("planned-%d", p.made), Stack: s.Stack, Service: s.Service, Release: s.Release,
		Slot: s.Slot, Spec: p.w.Specs[def.Name], State: rhumb.StateRunning,
		Created: p.now, Started: p.now, Restarts: s.Restarts}
	if s.Kind == rhumb.StepRun {
		r.State, r.Finished = rhumb.StateExited, p.now
	} else {
		p.o.Ready[r.ID] = p.now
		r.Joined = p.joined(def)
	}
	p.o.Replicas = append(p.o.Replicas, r)
}

// joined returns the ID of the replica of the wanted spec whose network a new one of the service shares; "": none.
func (p *rehearsal) joined(def *rhumb.Service) string {
	on := p.w.Model.Service(standing.NetworkOf(def))
	if on == nil {
		return ""
	}
	spec := p.w.Specs[on.Name]
	for i := range p.o.Replicas {
		if r := &p.o.Replicas[i]; r.Service == on.Name && r.Spec == spec && r.Alive() && r.Slot > 0 {
			return r.ID
		}
	}
	return ""
}

func (p *rehearsal) stop(id string) {
	for i := range p.o.Replicas {
		if r := &p.o.Replicas[i]; r.ID == id {
			r.State, r.Finished = rhumb.StateExited, p.now
		}
	}
	delete(p.o.Ready, id)
}

func (p *rehearsal) remove(id string) {
	p.o.Replicas = slices.DeleteFunc(p.o.Replicas, func(r rhumb.Replica) bool { return r.ID == id })
}
