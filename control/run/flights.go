package run

import (
	"slices"
	"sync"

	"rhumb"
	"rhumb/control/scene"
)

// flights are the steps of a stack that are under way, by their keys: a step with another reason is the same work.
type flights struct {
	mu    sync.Mutex
	steps map[rhumb.Step]bool
}

func (f *flights) add(s rhumb.Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps[s.Key()] = true
}

func (f *flights) remove(s rhumb.Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.steps, s.Key())
}

// has reports whether the step is under way.
func (f *flights) has(s rhumb.Step) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps[s.Key()]
}

// none reports whether no step is under way.
func (f *flights) none() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.steps) == 0
}

// any reports whether is is true of a step under way.
func (f *flights) any(is func(rhumb.Step) bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.steps {
		if is(s) {
			return true
		}
	}
	return false
}

// named reports whether a step of this kind is under way for the network or volume of this name.
func (f *flights) named(kind rhumb.StepKind, name string) bool {
	return f.any(func(s rhumb.Step) bool { return s.Kind == kind && s.Name == name })
}

// stopping returns the IDs of the replicas that are being stopped.
func (f *flights) stopping() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := map[string]bool{}
	for s := range f.steps {
		if s.Kind == rhumb.StepStop {
			ids[s.Replica] = true
		}
	}
	return ids
}

// making reports whether a step that creates something is under way. The phase must not change until it has landed: a
// container that appears late would turn "rolled back" into a lie.
func (f *flights) making() bool {
	return f.any(func(s rhumb.Step) bool {
		switch s.Kind {
		case rhumb.StepStop, rhumb.StepRemove, rhumb.StepRecord, rhumb.StepCheck, rhumb.StepNames:
			return false
		}
		return true
	})
}

// starts reports whether the start of a replica is under way.
func (f *flights) starts(rep rhumb.Replica) bool {
	return f.any(func(s rhumb.Step) bool {
		return s.Kind == rhumb.StepStart && s.Service == rep.Service && s.Slot == rep.Slot && s.Release == rep.Release
	})
}

// block reports whether a step must wait for another one: its opposite, or a start in the same slot. Two decisions of
// different modes must not both fill a slot. No step waits for a hosts file to be written, nor the other way round.
func (f *flights) block(s rhumb.Step) bool {
	switch s.Kind {
	case rhumb.StepNames:
		return false
	case rhumb.StepRoute, rhumb.StepRemoveNetwork: // an address step under way writes what an older look saw
		if f.any(func(other rhumb.Step) bool { return other.Kind == rhumb.StepAddress }) {
			return true
		}
	}
	if s.Slot == 0 {
		opposite, has := opposites[s.Kind]
		return has && f.named(opposite, s.Name)
	}
	return f.any(func(other rhumb.Step) bool {
		return other.Service == s.Service && other.Slot == s.Slot && other.Kind != rhumb.StepNames &&
			(creates(other) || other.Replica == s.Replica)
	})
}

// opposites are the steps that can't be under way together: a network or volume isn't made while it is being removed.
var opposites = map[rhumb.StepKind]rhumb.StepKind{
	rhumb.StepNetwork:       rhumb.StepRemoveNetwork,
	rhumb.StepRemoveNetwork: rhumb.StepNetwork,
	rhumb.StepVolume:        rhumb.StepRemoveVolume,
	rhumb.StepRemoveVolume:  rhumb.StepVolume,
}

// creates reports whether a step creates something, so that its deployment fails if it can't be done.
func creates(s rhumb.Step) bool {
	switch s.Kind {
	case rhumb.StepStart, rhumb.StepRun, rhumb.StepNetwork, rhumb.StepVolume, rhumb.StepPublish:
		return true
	}
	return false
}

// withoutRemoved drops the networks and volumes that are being removed from a scene. They are still there, but a
// deployment that began after the removal must make them again before it starts replicas in them. Services get no
// addresses in them either.
func (f *flights) withoutRemoved(s *scene.Scene) {
	removed := func(kind rhumb.StepKind) func(string) bool {
		return func(name string) bool { return f.named(kind, name) }
	}
	o := &s.Observed
	o.Networks = slices.DeleteFunc(slices.Clone(o.Networks), removed(rhumb.StepRemoveNetwork))
	o.Volumes = slices.DeleteFunc(slices.Clone(o.Volumes), removed(rhumb.StepRemoveVolume))
	s.Held.Bridges = slices.DeleteFunc(slices.Clone(s.Held.Bridges), func(b rhumb.Bridge) bool {
		return f.named(rhumb.StepRemoveNetwork, b.Network)
	})
}
