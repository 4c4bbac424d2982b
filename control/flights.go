package control

import (
	"sync"

	"rhumb"
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

// any reports whether a step under way is as is says.
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
