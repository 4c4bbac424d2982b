package control

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/rollout"
)

// defaultHold is how long connections to a service address wait at least in a planned gap.
const defaultHold = 10 * time.Second

// sight is what a look has shown before it is put into rollout's words.
type sight struct {
	held   rhumb.Holdings
	router rhumb.RouterStatus
}

// addressed gives the attachments by which a service has addresses in networks. Jobs have none, and neither has what
// shares another's network or the server's.
func addressed(s *rhumb.Service) []rhumb.Attachment {
	if s == nil || s.Job || s.Container.NetworkMode != "" {
		return nil
	}
	return s.Container.Networks
}

func attachment(s *rhumb.Service, network string) (rhumb.Attachment, bool) {
	as := addressed(s)
	i := slices.IndexFunc(as, func(a rhumb.Attachment) bool { return a.Network == network })
	if i < 0 {
		return rhumb.Attachment{}, false
	}
	return as[i], true
}

// segments gives the segments that there shall be: in each bridge with room for them, an address for each service of
// the wanted release, and for those of the other one of which something still runs.
func (r *runner) segments(ctx context.Context, g *goal, o rollout.Observed, s sight) ([]rhumb.Segment, error) {
	if s.router.NoSegments != "" {
		return nil, nil
	}
	var list []rhumb.Segment
	for _, n := range s.held.Bridges {
		members := g.members(n.Network, o.Replicas)
		if !n.Addresses.IsValid() || len(members) == 0 {
			continue
		}
		addrs, ok, err := r.book.addresses(ctx, n, members, g.taken(n, o.Replicas))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		seg := rhumb.Segment{Network: n.Network, ID: n.ID, Stack: r.stack, Bridge: n.Interface, Subnet: n.Subnet}
		for _, name := range members {
			seg.Services = append(seg.Services, rhumb.ServiceAddress{Service: name, Addr: addrs[name]})
		}
		list = append(list, seg)
	}
	slices.SortFunc(list, func(a, b rhumb.Segment) int { return strings.Compare(a.Network, b.Network) })
	return list, nil
}

// members lists the services that have an address in the network, sorted.
func (g *goal) members(network string, replicas []rhumb.Replica) []string {
	var names []string
	add := func(m *rhumb.Stack, also func(name string) bool) {
		if m == nil {
			return
		}
		for i := range m.Services {
			s := &m.Services[i]
			if _, ok := attachment(s, network); ok && also(s.Name) && !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	add(g.wanted.Model, func(string) bool { return true })
	add(g.wanted.Previous, func(name string) bool {
		return slices.ContainsFunc(replicas, func(r rhumb.Replica) bool { return r.Service == name && r.Slot > 0 && r.Alive() })
	})
	slices.Sort(names)
	return names
}

// taken lists the addresses of the network that replicas have, or shall have.
func (g *goal) taken(n rhumb.Bridge, replicas []rhumb.Replica) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, m := range []*rhumb.Stack{g.wanted.Model, g.wanted.Previous} {
		if m == nil {
			continue
		}
		for _, s := range m.Services {
			for _, a := range s.Container.Networks {
				if fixed, err := netip.ParseAddr(a.IPv4); err == nil && a.Network == n.Network {
					taken[fixed] = true
				}
			}
		}
	}
	for _, r := range replicas {
		if a := r.Addrs[n.Network]; a.IsValid() {
			taken[a] = true
		}
	}
	return taken
}

// lead makes the table's segments follow the engine's networks, the releases and the replicas, and takes out what
// leads to replicas that are gone. It tells whether it has changed anything: then what was seen is old.
func (r *runner) lead(ctx context.Context, g *goal, o rollout.Observed, s sight, now time.Time) (changed bool, err error) {
	want, err := r.segments(ctx, g, o, s)
	if err != nil {
		return false, err
	}
	edit := func(t *rhumb.Table) { routing.Relead(t, r.stack, want, o.Replicas, g.arriving(now)) }
	if !routing.Changes(s.router.Table, edit) {
		return false, nil
	}
	return true, r.c.desk.Edit(ctx, edit)
}

// arriving gives, by service, until when callers wait for its first replica: a deployment is bringing it.
func (g *goal) arriving(now time.Time) map[string]time.Time {
	until := map[string]time.Time{}
	if g.open == nil || g.wanted.Model == nil {
		return until
	}
	for _, s := range g.wanted.Model.Services {
		if s.Replicas > 0 {
			until[s.Name] = now.Add(max(s.Hold, defaultHold))
		}
	}
	return until
}

// leadKey stands for the segments among the steps that are tried again.
func (r *runner) leadKey() rhumb.Step {
	return rhumb.Step{Kind: rhumb.StepPublish, Stack: r.stack, Name: "service addresses"}
}

// leading has the segments made as they shall be. It tells when the turn must end for now: at once to look again, or later
// because a deployment can't go on without them. Otherwise the stack is looked after as well as it can be.
func (r *runner) leading(ctx context.Context, g *goal, o rollout.Observed, s sight, now time.Time) (next time.Time, stop bool, err error) {
	key := r.leadKey()
	a := r.again[key]
	if now.Before(a.at) {
		return a.at, r.awaitsSegments(g, a), nil
	}
	changed, err := r.lead(ctx, g, o, s, now)
	if err == nil {
		delete(r.again, key)
		if changed {
			next = now
		}
		return next, changed, nil
	}
	if ctx.Err() != nil {
		return time.Time{}, true, err
	}
	r.land(result{key, err})
	a = r.again[key]
	if a.tries == 1 {
		r.tellStep(ctx, g, key, rhumb.EventWarning, reason(key, err)+"; trying again")
	}
	if g.open != nil && g.wanted.Mode == rollout.Deploy && a.tries == maxTries {
		err := r.fail(ctx, g, rhumb.Failure{At: now, Release: g.wanted.Release, Reason: reason(key, err), Hint: rhumb.ErrorHint(err)})
		return now, true, err
	}
	return a.at, r.awaitsSegments(g, a), nil
}

// awaitsSegments tells whether a deployment waits for segments that could not be made so far.
func (r *runner) awaitsSegments(g *goal, a retry) bool {
	return g.open != nil && g.wanted.Mode == rollout.Deploy && g.wanted.Release != 0 && a.tries < maxTries
}

// patience is how long callers wait for a service after a step of a planned change: until the next step can have been
// taken, and as long as its requests are held. 0: nobody is on its way.
func (g *goal) patience(kind rhumb.StepKind, service string) time.Duration {
	s := g.wanted.Model.Service(service)
	if s == nil || s.Job || s.Replicas == 0 {
		return 0
	}
	hold := max(s.Hold, defaultHold)
	switch {
	case kind == rhumb.StepDrain:
		return hold + s.Drain
	case s.Container.StopGrace == 0:
		return hold + 10*time.Second
	}
	return hold + max(0, s.Container.StopGrace)
}
