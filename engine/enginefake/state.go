package enginefake

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// state is what the engine holds. Each part of the engine works on it.
type state struct {
	now func() time.Time

	mu         sync.Mutex
	api        string
	away       bool
	lossy      bool
	faults     map[string]*fault
	behaviours map[key]Behaviour
	interpret  func(rhumb.ReplicaSpec) Behaviour

	replicas []*replica // by stack, service, release, slot
	made     uint32     // replicas ever made: the source of IDs and addresses
	joined   uint32     // networks ever made
	networks map[string]holding
	volumes  map[string]holding
	images   map[string]rhumb.Image // by reference: those that the engine has
	scripted map[string]rhumb.Image // by reference: what a registry would give
	missing  map[string]error       // by reference or ID
	fetched  map[string]time.Time   // image IDs: those that rhumb pulled or built, and when
	removed  map[string]bool        // image IDs that the engine had and has no more
	kept     map[string]string      // rhumb's names: image ID
	watchers map[*watcher]bool
	files    *logFolder    // where replicas that start keep their lines; nil: nowhere
	changed  chan struct{} // closed at each change, and replaced
}

// enter begins a call: it locks, unless the engine is away or the call is to fail.
func (s *state) enter(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		code := rhumb.Cancelled
		if err == context.DeadlineExceeded {
			code = rhumb.Timeout
		}
		return rhumb.Errorf(code, "%s: %w", call, err)
	}
	s.mu.Lock()
	if s.away {
		s.mu.Unlock()
		return rhumb.Errorf(rhumb.Unavailable, "%s: the engine can't be reached", call).WithHint("is Docker running?")
	}
	if f := s.faults[call]; f != nil && f.times != 0 {
		f.times--
		s.mu.Unlock()
		return f.err
	}
	return nil
}

// byID returns the replica of an ID, or nil.
func (s *state) byID(id string) *replica {
	for _, r := range s.replicas {
		if r.base.ID == id {
			return r
		}
	}
	return nil
}

// named returns the replica of a name, or nil.
func (s *state) named(name string) *replica {
	for _, r := range s.replicas {
		if r.name == name {
			return r
		}
	}
	return nil
}

// running returns a running replica, or an error that says why there is none.
func (s *state) running(id string, now time.Time) (*replica, error) {
	r := s.byID(id)
	if r == nil {
		return nil, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id)
	}
	if view := r.at(now); view.State != rhumb.StateRunning {
		return nil, rhumb.Errorf(rhumb.Conflict, "replica %s: it is %s", r.name, view.State)
	}
	return r, nil
}

// place returns the index at which a replica belongs in the list.
func (s *state) place(r *replica) int {
	i, _ := slices.BinarySearchFunc(s.replicas, r, func(a, b *replica) int {
		return cmp.Or(strings.Compare(a.base.Stack, b.base.Stack), strings.Compare(a.base.Service, b.base.Service),
			a.base.Release-b.base.Release, a.base.Slot-b.base.Slot, strings.Compare(a.base.ID, b.base.ID))
	})
	return i
}

// drop forgets a replica.
func (s *state) drop(r *replica) {
	s.replicas = slices.DeleteFunc(s.replicas, func(o *replica) bool { return o == r })
	r.dropLog()
	s.report(r)
}

// behaviour chooses what a replica does.
func (s *state) behaviour(spec *rhumb.ReplicaSpec) Behaviour {
	if len(s.behaviours) > 0 {
		c := &spec.Container
		for _, service := range []string{spec.Service, ""} {
			for _, image := range []string{c.ImageID, c.Image, ""} {
				if b, ok := s.behaviours[key{service, image}]; ok {
					return b
				}
			}
		}
	}
	if s.interpret != nil {
		return s.interpret(*spec)
	}
	return Behaviour{}
}

// declared returns the paths at which a container's image declares volumes.
func (s *state) declared(c *rhumb.Container) []string {
	if img, ok := s.scripted[c.Image]; ok {
		return img.Volumes
	}
	for _, img := range s.scripted {
		if img.ID == c.ImageID {
			return img.Volumes
		}
	}
	return nil
}

// volumesOf returns the names of a replica's volumes, and creates missing ones. The anonymous volumes of a one-off get
// names that are never used again.
func (s *state) volumesOf(spec *rhumb.ReplicaSpec) []string {
	var names []string
	taken := map[string]bool{}
	own := func(target string) {
		if spec.OneOff == "" || spec.VolumesOf != "" {
			name := rhumb.AnonymousVolumeName(spec.Stack, cmp.Or(spec.VolumesOf, spec.Service), spec.Slot, path.Clean(target))
			names = append(names, name)
			s.volumes[name] = holding{stack: spec.Stack}
		}
	}
	for _, m := range spec.Container.Mounts {
		taken[path.Clean(m.Target)] = true
		switch {
		case m.Type != rhumb.MountVolume:
		case m.Source == "":
			own(m.Target)
		default:
			names = append(names, m.Source)
		}
	}
	for _, target := range s.declared(&spec.Container) {
		if !taken[path.Clean(target)] {
			own(target)
		}
	}
	return names
}

// report reports to all watches that a replica has changed.
func (s *state) report(r *replica) { s.note(rhumb.Change{Stack: r.base.Stack, Replica: r.base.ID}) }

// note adds a change to all watches.
func (s *state) note(c rhumb.Change) {
	if s.lossy {
		return
	}
	for w := range s.watchers {
		w.add(c)
	}
	s.wake()
}

// wake wakes all watches and calls that wait.
func (s *state) wake() {
	for w := range s.watchers {
		w.poke()
	}
	close(s.changed)
	s.changed = make(chan struct{})
}
