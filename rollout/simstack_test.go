package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// quality is how the replicas of one image behave.
type quality int

const (
	good quality = iota
	crashesSoon
	crashesLate
	neverReady
	cantStart // is created, and exits with an error of the engine
	cantMake  // the engine refuses
	turnsSick
	oneShot // ends with 0 after a while
)

// simRelease is a release of the simulated stack with what the simulator needs to know of it.
type simRelease struct {
	number  int
	model   *rhumb.Stack
	specs   map[string]string
	quality map[string]quality // by service
}

// simStacks makes random stacks and random changes of them.
type simStacks struct {
	rng    *rand.Rand
	calm   bool // every image is good
	image  int
	ports  map[string]uint16
	hooked map[string]bool // services that have a pre_start hook
}

func (g *simStacks) chance(p float64) bool { return g.rng.Float64() < p }

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

var simNames = []string{"a", "b", "c", "d", "e", "f"}

// first makes a stack of one to six services.
func (g *simStacks) first() *simRelease {
	m := &rhumb.Stack{Name: "shop"}
	r := &simRelease{number: 1, model: m, quality: map[string]quality{}}
	for i := range pick(g.rng, 1, 1, 2, 2, 3, 3, 4, 5, 6) {
		m.Services = append(m.Services, g.service(simNames[i]))
		r.quality[simNames[i]] = g.quality()
	}
	m.Networks = g.networks()
	m.Volumes = []rhumb.Volume{{Name: "shop_data"}}
	g.finish(r)
	return r
}

func (g *simStacks) service(name string) rhumb.Service {
	s := rhumb.Service{Name: name, Replicas: pick(g.rng, 1, 1, 1, 2, 2, 3, 4, 0), Order: rhumb.StartFirst}
	s.Container.Image = g.nextImage()
	if g.chance(0.3) {
		s.Order = rhumb.StopFirst
	}
	s.Update, s.Rollback = g.policy(), g.policy()
	s.Rollback.OnFailure = rhumb.ActionRollback
	const always = rhumb.RestartAny
	s.Restart = rhumb.Restart{Condition: pick(g.rng, always, always, always, rhumb.RestartOnFailure, rhumb.RestartNone),
		Delay: pick(g.rng, 0, 0, time.Second)}
	s.Ready = rhumb.Ready{Kind: pick(g.rng, rhumb.ReadyHTTP, rhumb.ReadyHealth, rhumb.ReadyRunning, rhumb.ReadyTCP),
		Timeout: pick(g.rng, 0, 10*time.Second)}
	if s.Ready.Kind == rhumb.ReadyTCP {
		s.Ready.Window = pick(g.rng, time.Second, 5*time.Second)
	}
	s.Drain = pick(g.rng, 0, time.Second, 10*time.Second)
	g.publish(&s)
	g.hookAndCheck(&s)
	return s
}

func (g *simStacks) publish(s *rhumb.Service) {
	s.Ports = nil
	if g.chance(0.6) {
		s.Ports = []rhumb.Port{{Published: g.ports[s.Name], Target: 80, Protocol: rhumb.TCP}}
	}
}

func (g *simStacks) policy() rhumb.Policy {
	const back = rhumb.ActionRollback
	return rhumb.Policy{
		Parallelism: pick(g.rng, 0, 1, 1, 2), Delay: pick(g.rng, 0, 0, time.Second, 5*time.Second),
		Monitor: pick(g.rng, 0, 2*time.Second, 10*time.Second), MaxFailureRatio: pick(g.rng, 0, 0, 0, 0.3, 0.5, 1),
		OnFailure: pick(g.rng, back, back, back, rhumb.ActionPause, rhumb.ActionContinue),
	}
}

func (g *simStacks) nextImage() string {
	g.image++
	return fmt.Sprintf("v%d", g.image)
}

func (g *simStacks) quality() quality {
	if g.calm || g.chance(0.85) {
		return good
	}
	return pick(g.rng, crashesSoon, crashesLate, neverReady, cantStart, cantMake, turnsSick, oneShot)
}

// change makes a new release out of an old one.
func (g *simStacks) change(old *simRelease, number int) *simRelease {
	m := *old.model
	m.Services = nil
	r := &simRelease{number: number, model: &m, quality: map[string]quality{}}
	for _, s := range old.model.Services {
		if _, _, hook := rhumb.HookOf(s.Name); hook || g.chance(0.07) {
			continue
		}
		s.Container.RestartOn = nil
		r.quality[s.Name] = old.quality[s.Name]
		if g.chance(0.5) {
			s.Container.Image = g.nextImage()
			r.quality[s.Name] = g.quality()
		}
		g.adjust(&s)
		m.Services = append(m.Services, s)
	}
	if len(m.Services) < len(simNames) && (len(m.Services) == 0 || g.chance(0.2)) {
		for _, name := range simNames {
			if m.Service(name) == nil {
				m.Services = append(m.Services, g.service(name))
				r.quality[name] = g.quality()
				break
			}
		}
	}
	if g.chance(0.2) {
		m.Networks = g.networks()
	}
	if g.chance(0.1) {
		m.Volumes = append(slices.Clone(m.Volumes), rhumb.Volume{Name: fmt.Sprintf("shop_more%d", number)})
	}
	g.swapAddresses(&m)
	g.finish(r)
	return r
}

func (g *simStacks) networks() []rhumb.Network {
	front, back := rhumb.Network{Name: "shop_default"}, rhumb.Network{Name: "shop_back"}
	return pick(g.rng, []rhumb.Network{front}, []rhumb.Network{front, back}, []rhumb.Network{back})
}

// attach joins a service to one or two of the stack's networks. One that shares another's network joins none.
func (g *simStacks) attach(m *rhumb.Stack, s *rhumb.Service) {
	gone := func(a rhumb.Attachment) bool {
		return !slices.ContainsFunc(m.Networks, func(n rhumb.Network) bool { return n.Name == a.Network })
	}
	s.Container.Networks = slices.DeleteFunc(slices.Clone(s.Container.Networks), gone)
	switch {
	case s.Container.NetworkMode != "":
		s.Container.Networks = nil
	case len(s.Container.Networks) == 0:
		s.Container.Networks = []rhumb.Attachment{{Network: m.Networks[g.rng.IntN(len(m.Networks))].Name}}
	case len(m.Networks) > 1 && g.chance(0.1):
		s.Container.Networks = []rhumb.Attachment{{Network: m.Networks[0].Name}, {Network: m.Networks[1].Name}}
	}
}

// adjust changes settings that aren't part of the spec.
func (g *simStacks) adjust(s *rhumb.Service) {
	if g.chance(0.2) {
		s.Replicas = pick(g.rng, 0, 1, 2, 3, 4)
	}
	if g.chance(0.1) {
		s.Update, s.Rollback = g.policy(), g.policy()
	}
	if g.chance(0.1) {
		s.Order = pick(g.rng, rhumb.StartFirst, rhumb.StopFirst)
	}
	if g.chance(0.1) {
		g.publish(s)
	}
	if g.chance(0.1) {
		g.hookAndCheck(s)
	}
}

// swapAddresses lets two services exchange what they publish, now and then.
func (g *simStacks) swapAddresses(m *rhumb.Stack) {
	if len(m.Services) > 1 && g.chance(0.1) {
		a, b := &m.Services[0], &m.Services[len(m.Services)-1]
		a.Ports, b.Ports = b.Ports, a.Ports
	}
	seen := map[string]bool{}
	for i := range m.Services {
		s := &m.Services[i]
		for _, a := range s.Addresses() {
			if seen[a] {
				s.Ports = nil
			}
			seen[a] = true
		}
	}
}

// finish makes jobs, dependencies and joined networks, which always point to earlier services, and computes the hashes.
func (g *simStacks) finish(r *simRelease) {
	m := r.model
	r.specs = map[string]string{}
	for i := range m.Services {
		s := &m.Services[i]
		if r.number == 1 || s.DependsOn == nil {
			g.depend(m, i)
		}
		s.DependsOn = slices.DeleteFunc(slices.Clone(s.DependsOn),
			func(d rhumb.Dependency) bool { return !earlier(m, i, d.Service) })
		for j, d := range s.DependsOn {
			s.DependsOn[j].Condition = conditionOn(m.Service(d.Service), d.Condition)
		}
		if on := standing.NetworkOf(s); on != "" {
			if x := m.Service(on); !earlier(m, i, on) || x.Job || x.Replicas == 0 {
				s.Container.NetworkMode = ""
			} else {
				s.Container.RestartOn = map[string]string{on: r.specs[on]}
			}
		}
		if s.Job {
			s.Replicas, s.Ports, s.Order, s.Container.NetworkMode = 1, nil, rhumb.StartFirst, ""
			s.Container.RestartOn, s.PostStart, s.After = nil, nil, nil
		}
		g.attach(m, s)
		r.specs[s.Name] = s.Container.Hash()
	}
	g.hook(r)
}

// earlier reports whether the stack has a service of that name before the i-th.
func earlier(m *rhumb.Stack, i int, name string) bool {
	return slices.ContainsFunc(m.Services[:i], func(s rhumb.Service) bool { return s.Name == name })
}

func conditionOn(on *rhumb.Service, c rhumb.Condition) rhumb.Condition {
	if on.Job {
		return rhumb.DependsCompleted
	}
	if c == rhumb.DependsCompleted {
		return rhumb.DependsStarted
	}
	return c
}

func (g *simStacks) depend(m *rhumb.Stack, i int) {
	s := &m.Services[i]
	s.DependsOn = []rhumb.Dependency{}
	if i == 0 {
		return
	}
	for range g.rng.IntN(3) {
		on := &m.Services[g.rng.IntN(i)]
		if !slices.ContainsFunc(s.DependsOn, func(d rhumb.Dependency) bool { return d.Service == on.Name }) {
			condition := pick(g.rng, rhumb.DependsStarted, rhumb.DependsHealthy)
			s.DependsOn = append(s.DependsOn, rhumb.Dependency{Service: on.Name, Condition: condition})
		}
	}
	switch on := &m.Services[g.rng.IntN(i)]; {
	case g.chance(0.15):
		s.Job = true
	case g.chance(0.12) && !on.Job && on.Replicas > 0:
		s.Container.NetworkMode = "service:" + on.Name
	}
}
