package why

import (
	"slices"
	"time"

	"rhumb"
)

const (
	near     = 5 * time.Minute // an effect so long after its cause counts half; at other services it has less time
	enough   = 0.35            // from here on one happening is the effect of another one
	unlikely = 0.15            // a happening that explains less is no cause
)

// judge judges what can explain what.
type judge struct{ *findings }

// weighing is how much of the troubles each happening explains.
type weighing struct {
	judge
	explains [][]float64 // by happening and trouble
	parent   []int       // by happening; -1: it is the effect of no other
}

// weigh finds out which happening explains what.
func weigh(f judge) *weighing {
	w := &weighing{judge: f}
	for _, h := range f.happenings {
		row := make([]float64, len(f.troubles))
		for i, t := range f.troubles {
			row[i] = f.explained(h, t)
		}
		w.explains = append(w.explains, row)
		w.parent = append(w.parent, -1)
	}
	order := make([]int, len(f.happenings))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { // effects first
		return f.happenings[b].depthOf() - f.happenings[a].depthOf()
	})
	for _, c := range order {
		w.adopt(c)
	}
	return w
}

// adopt finds the happening of which another one is an effect, and has it explain what its effect explains.
func (w *weighing) adopt(c int) {
	child := w.happenings[c]
	if !child.effect {
		return
	}
	best := enough
	for p, h := range w.happenings {
		if p == c || !w.above(h, child) {
			continue
		}
		t := &trouble{symptom: child.as, stack: child.Stack, service: child.Service, at: child.At}
		strength := w.explained(h, t)
		if strength < enough {
			continue
		}
		for i := range w.troubles {
			w.explains[p][i] = max(w.explains[p][i], 0.95*strength*w.explains[c][i])
		}
		if strength > best {
			best, w.parent[c] = strength, p
		}
	}
}

// above reports whether a happening may have begun another one, and not the other way around.
func (w *weighing) above(h, child *happening) bool {
	a, b := h.depthOf(), child.depthOf()
	if a != b {
		return a < b
	}
	if h.Stack == "" || h.Stack != child.Stack || h.Service == child.Service {
		return false
	}
	if w.mentions(h.Stack, child.Service, h.Service) != nil {
		return w.mentions(h.Stack, h.Service, child.Service) == nil || h.At.Before(child.At)
	}
	if h.Kind == rhumb.HappenedDependency {
		return w.upstream(h, child.Service, child.At) > 0.8 && w.upstream(child, h.Service, h.At) <= 0.8
	}
	return child.At.Sub(h.At) > 5*time.Second // events have exact times
}

// explained returns how well a happening explains a trouble, 0 to 1.
func (f judge) explained(h *happening, t *trouble) float64 {
	v := effects[h.Kind][t.symptom]
	if v == 0 || h.effect && h.Kind == rhumb.HappenedTraffic && t.symptom != fewer {
		if !(h.effect && h.as == t.symptom && h.Stack == t.stack && h.Service == t.service) {
			return 0
		}
	}
	if h.Kind == rhumb.HappenedTraffic && h.effect {
		v = 0.5 // that no requests come explains nothing but itself
	}
	v *= f.reach(h, t) * f.closeness(h, t) * h.force
	if h.Kind == rhumb.HappenedRelease || h.Kind == rhumb.HappenedRollback {
		factor, _ := f.split(h, t)
		v *= factor
	}
	return min(v, 1)
}

// reach returns how well a happening can reach what is worse, by where both are.
func (f judge) reach(h *happening, t *trouble) float64 {
	switch {
	case h.Stack == "", t.stack == "":
		if h.Stack != "" && h.Kind != rhumb.HappenedMemory && t.symptom != slowDisk {
			return 0.3 // of one stack, on the machine
		}
		if h.hog != "" && h.hog == t.stack {
			return 0.3 // its own work
		}
		if h.Kind == rhumb.HappenedHostCPU {
			return 0.6 + 0.4*f.share(h, t.stack)
		}
		return 1
	case h.Stack != t.stack:
		return 0
	case h.touches(t.service), t.service == "":
		if h.Kind == rhumb.HappenedDependency && h.Service == t.service {
			return f.blame(h, t)
		}
		return 1
	case h.Service == "" && len(h.services) == 0:
		return 0.8
	}
	v := elsewhere[h.Kind]
	if h.Kind == rhumb.HappenedDependency {
		return v * f.blame(h, t)
	}
	if h.Service != "" && f.mentions(h.Stack, t.service, h.Service) != nil {
		v = min(1, 1.2*v)
	}
	if own := t.symptom == swollen || t.symptom == killed || t.symptom == starved; own && h.Kind != rhumb.HappenedTraffic {
		v *= 0.4 // that is rarely the fault of another service
	}
	return v
}

// share returns how many of the services of a stack that have requests are slower since a happening.
func (f judge) share(h *happening, stack string) float64 {
	served, worse := map[string]bool{}, map[string]bool{}
	for _, k := range f.keys(requests) {
		if k.stack == stack {
			served[k.service] = true
		}
	}
	for _, t := range f.troubles {
		if t.stack == stack && served[t.service] && t.at.Sub(h.At).Abs() < 3*near {
			worse[t.service] = true
		}
	}
	if len(served) == 0 {
		return 1
	}
	return float64(len(worse)) / float64(len(served))
}

// blame returns how likely a service is a dependency that began the trouble of another one, and not the other way
// around. A service without others that are worse is no dependency.
func (f judge) blame(h *happening, t *trouble) float64 {
	if h.Service == "" {
		return 1
	}
	var v float64
	for _, other := range f.troubles {
		if other.stack != h.Stack || other.service == h.Service || other.service == "" ||
			t.service != h.Service && other.service != t.service {
			continue
		}
		v = max(v, f.upstream(h, other.service, other.at))
	}
	return v
}

// upstream returns how likely a service depends on that of a happening.
func (f judge) upstream(h *happening, service string, at time.Time) float64 {
	says, says2 := f.mentions(h.Stack, service, h.Service), f.mentions(h.Stack, h.Service, service)
	switch {
	case says != nil && says2 == nil:
		return 1
	case says == nil && says2 != nil:
		return 0.1
	}
	mine, other := f.of(requests, key{stack: h.Stack, service: h.Service}), f.of(requests,
		key{stack: h.Stack, service: service})
	switch {
	case len(mine) == 0 && len(other) > 0:
		return 0.9
	case len(mine) > 0 && len(other) == 0:
		return 0.2
	}
	a, b := f.growth(h.Stack, h.Service), f.growth(h.Stack, service)
	switch {
	case at.Sub(h.At) > f.tolerance():
		return 0.9
	case h.At.Sub(at) > f.tolerance():
		return 0.1
	case a > b:
		return 0.85
	}
	return 0.3
}

// growth returns how many times as long a service's requests take.
func (f judge) growth(stack, service string) float64 {
	var most float64
	for _, t := range f.troubles {
		if t.stack == stack && t.service == service && t.symptom == slow && t.evidence.Was > 0 {
			most = max(most, t.evidence.Is/t.evidence.Was)
		}
	}
	return most
}

// near returns how long after a happening a trouble counts half as its effect.
func (f judge) near(h *happening, t *trouble) time.Duration {
	switch {
	case h.Kind == rhumb.HappenedRestart, h.Kind == rhumb.HappenedEngine, h.Kind == rhumb.HappenedProxy:
		return 2 * time.Minute
	case h.Stack != "" && !h.touches(t.service):
		return 3 * time.Minute
	}
	return near
}

// closeness returns how well a happening and a trouble fit in time: 0 if the trouble was there before.
func (f judge) closeness(h *happening, t *trouble) float64 {
	if t.at.Before(h.began.Add(-f.tolerance())) {
		return 0
	}
	ended := h.until
	if h.lasting && (ended.IsZero() || !t.at.After(ended.Add(f.tolerance()))) {
		return 1
	}
	lag := max(0, t.at.Sub(h.At)-f.tolerance())
	far := lag.Minutes() / f.near(h, t).Minutes()
	v := 1 / (1 + far*far)
	if lag == 0 { // of two at about the same time, the nearer one
		v -= 0.05 * min(1, t.at.Sub(h.At).Abs().Minutes())
	}
	if !ended.IsZero() && t.at.After(ended.Add(f.tolerance())) && h.effect {
		v *= 0.4
	}
	return v
}
