package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/rollout"
)

// goal is what the store says is wanted of a stack now.
type goal struct {
	wanted   rollout.Wanted
	open     *rhumb.Deployment // nil: the stack is held
	paused   bool              // the last deployment was paused: nothing is changed, only what dies is replaced
	replicas []rhumb.Replica   // as last looked at
	volumes  []string          // the stack's own, as last looked at
}

// cancelled tells whether the deployment is to be put back, and isn't yet.
func (g *goal) cancelled() bool {
	return g.open != nil && g.open.Phase == rhumb.PhaseRolling && g.open.Cancel
}

// goal reads what is wanted.
func (r *runner) goal(ctx context.Context) (*goal, error) {
	state, err := r.c.Store.StackState(ctx, r.stack)
	if err != nil {
		return nil, err
	}
	g := &goal{wanted: rollout.Wanted{Stack: r.stack, Mode: rollout.Hold}}
	d, err := r.c.Store.Deployment(ctx, r.stack, state.Open) // the open one, or the last
	if err != nil && (state.Open != 0 || rhumb.ErrorCode(err) != rhumb.NotFound) {
		return nil, err
	}
	to, from := state.Current, d.From+d.To-state.Current // the other one of the two
	g.paused = state.Open == 0 && d.Phase == rhumb.PhasePaused
	if state.Open != 0 {
		g.open = &d
		to, from = d.To, d.From
		g.wanted.Mode, g.wanted.RunJobs, g.wanted.Jobs, g.wanted.Failures = rollout.Deploy, d.Cause == rhumb.CauseDeploy, d.Jobs, d.Failures
		g.wanted.Volumes, g.wanted.Since, g.wanted.Checked = d.Volumes, d.Started, d.Checked
		if d.Phase == rhumb.PhaseRollingBack {
			to, from = d.From, d.To
			g.wanted.Mode, g.wanted.RunJobs, g.wanted.Volumes = rollout.Restore, false, false
			g.wanted.Failures = slices.DeleteFunc(slices.Clone(d.Failures), func(f rhumb.Failure) bool { return f.Release != d.From })
		}
	}
	g.wanted.Release = to
	if g.wanted.Model, g.wanted.Specs, err = r.model(ctx, to); err != nil {
		return nil, err
	}
	g.wanted.Previous, g.wanted.OldSpecs, err = r.model(ctx, from)
	if rhumb.ErrorCode(err) == rhumb.NotFound {
		err = nil // it is long gone; what is left of it drains without its word
	}
	return g, err
}

// model gives a release's model with its spec hashes; nil: there is none.
func (r *runner) model(ctx context.Context, number int) (*rhumb.Stack, map[string]string, error) {
	if number <= 0 {
		return nil, nil, nil
	}
	rel, err := r.c.release(ctx, r.stack, number)
	if err != nil {
		return nil, nil, err
	}
	return &rel.Model, rel.Specs, nil
}

// see observes the stack in the engine and in the proxy.
func (r *runner) see(ctx context.Context) (o rollout.Observed, s sight, err error) {
	o.Recorded = map[string]bool{}
	if o.Replicas, err = r.c.Engine.Replicas(ctx, r.stack); err != nil {
		return o, s, err
	}
	if s.held, err = r.held.see(ctx, r.c.Engine, r.stack); err != nil {
		return o, s, err
	}
	if s.router, err = r.c.desk.Status(ctx); err != nil {
		return o, s, err
	}
	o.Networks, o.Volumes = s.held.Networks, slices.Clone(s.held.Volumes)
	o.Routes, o.Published = routing.RoutesOf(s.router, r.stack)
	o.Segments = map[string]bool{}
	for _, seg := range s.router.Table.Segments {
		if seg.Stack == r.stack {
			o.Segments[seg.Network] = true
		}
	}
	for _, rep := range o.Replicas {
		if rep.Alive() && !o.Routes[rep.ID].Draining && routing.Elsewhere(s.router.Table, rep) {
			delete(o.Routes, rep.ID)
		}
	}
	o.Ready = r.ready.Since(o)
	return o, s, r.postStarts(ctx, &o)
}

// holdings are the networks and volumes of a stack. They change seldom and cost the engine more than its replicas, so
// they are asked for again only once something may have changed them, or after lookEvery.
type holdings struct {
	mu   sync.Mutex
	last rhumb.Holdings
	seen time.Time // zero: never, or not since a change
}

func (h *holdings) see(ctx context.Context, e rhumb.Engine, stack string) (rhumb.Holdings, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.seen) < lookEvery {
		return h.last, nil
	}
	asked := time.Now()
	got, err := e.Holdings(ctx, stack)
	if err == nil {
		h.last, h.seen = got, asked
	}
	return got, err
}

func (h *holdings) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = time.Time{}
}

// observe completes a look with what the goal and the deployment's record say.
func (g *goal) observe(r *runner, o *rollout.Observed, now time.Time) {
	g.replicas, g.volumes = o.Replicas, o.Volumes
	o.Networks = slices.DeleteFunc(slices.Clone(o.Networks), func(n string) bool { return r.loans.lent(n) && !g.uses(n) })
	for _, rep := range o.Replicas {
		if s, _ := g.definition(rep); s != nil && s.Ready.Kind == rhumb.ReadyRunning && rep.State == rhumb.StateRunning {
			delete(o.Ready, rep.ID) // it may be led to before, but is ready once its window has passed
			if since, ok := ranLong(*o, rep, s); ok && !since.After(now) {
				o.Ready[rep.ID] = since
			}
		}
	}
	o.Accepts = r.ready.Accepts()
	if g.open != nil {
		for _, f := range g.open.Failures {
			o.Recorded[f.ID] = true
		}
	}
	for id := range r.ready.RecordedIDs() {
		o.Recorded[id] = true
	}
	o.Stopping = map[string]bool{}
	for s := range r.flying {
		if s.Kind == rhumb.StepStop {
			o.Stopping[s.Replica] = true
		}
	}
	o.Watched = r.watched
	for name := range r.ensured {
		if !slices.Contains(o.Volumes, name) && g.wanted.Model != nil {
			o.Volumes = append(o.Volumes, name)
		}
	}
}

// severed finds the replicas that somebody has cut off from a network of the stack. The dead have no addresses: of them
// it is remembered.
func (r *runner) severed(g *goal, bridges []rhumb.Bridge) map[string]bool {
	cut := map[string]bool{}
	for _, rep := range g.replicas {
		if rep.State != rhumb.StateRunning || rep.Slot == 0 {
			if r.told[telling{rep.ID, rhumb.EventWarning}] {
				cut[rep.ID] = true
			}
			continue
		}
		if s, _ := g.definition(rep); s != nil && cutOff(s, rep, bridges) != "" {
			cut[rep.ID] = true
		}
	}
	return cut
}

// cutOff names a network that the replica should be in and isn't; "": there is none.
func cutOff(s *rhumb.Service, rep rhumb.Replica, bridges []rhumb.Bridge) string {
	for _, n := range bridges {
		in := slices.ContainsFunc(s.Container.Networks, func(a rhumb.Attachment) bool { return a.Network == n.Network })
		if in && s.Container.NetworkMode == "" && !rep.Addrs[n.Network].IsValid() {
			return n.Network
		}
	}
	return ""
}

// ranLong tells since when a replica without a check counts as ready; ok is false while its post_start hooks run.
func ranLong(o rollout.Observed, rep rhumb.Replica, s *rhumb.Service) (since time.Time, ok bool) {
	since = rep.Started
	if at, has := o.PostStart[rep.ID]; has {
		if at.IsZero() {
			return at, false
		}
		since = at
	}
	return since.Add(s.Ready.Runs()), true
}

// completed lists the replicas of this deployment's jobs that have done their work and aren't noted yet: also one that was about to be
// put back and was quicker.
func (g *goal) completed() []rhumb.Replica {
	if g.open == nil || g.open.Phase.Ended() {
		return nil
	}
	m, hashes := g.wanted.Model, g.wanted.Specs
	if g.open.Phase == rhumb.PhaseRollingBack {
		m, hashes = g.wanted.Previous, g.wanted.OldSpecs
	}
	var fresh []rhumb.Replica
	for _, rep := range g.replicas {
		s := m.Service(rep.Service)
		if s != nil && rep.Release == g.open.To && rep.Slot > 0 && rollout.Completed(s, rep) && !slices.Contains(g.open.Jobs, s.Name) && rep.Spec == hashes[s.Name] {
			fresh = append(fresh, rep)
		}
	}
	return fresh
}

// definition gives the service as the release has it that made the replica: by its spec, which is what it really
// runs. nil if neither release at hand has it.
func (g *goal) definition(rep rhumb.Replica) (s *rhumb.Service, wanted bool) {
	if s := g.wanted.Model.Service(rep.Service); s != nil && g.wanted.Specs[s.Name] == rep.Spec {
		return s, true
	}
	if s := g.wanted.Previous.Service(rep.Service); s != nil && g.wanted.OldSpecs[s.Name] == rep.Spec {
		return s, false
	}
	return nil, false
}

func (g *goal) replica(id string) (rhumb.Replica, bool) {
	for _, rep := range g.replicas {
		if rep.ID == id {
			return rep, true
		}
	}
	return rhumb.Replica{}, false
}

// tell says what a look has shown for the first time.
func (r *runner) tell(ctx context.Context, g *goal, o rollout.Observed) {
	for _, rep := range o.Replicas {
		if rep.Slot == 0 {
			continue
		}
		if _, ok := o.Ready[rep.ID]; ok && rep.Alive() {
			r.once(ctx, g, rep, rhumb.EventReady, "ready after "+o.Ready[rep.ID].Sub(rep.Started).Round(10*time.Millisecond).String())
		}
		s, _ := g.definition(rep)
		if cut := (telling{rep.ID, rhumb.EventWarning}); o.Severed[rep.ID] && !r.told[cut] {
			r.told[cut] = true
			r.c.events.Announce(ctx, g.event(rep, rhumb.EventWarning, "was disconnected by hand from a network of its stack"))
		}
		if _, _, hook := rhumb.HookOf(rep.Service); s != nil && rollout.Completed(s, rep) && !hook { // of hooks noteJobs tells
			r.once(ctx, g, rep, rhumb.EventCompleted, "")
		}
	}
	for t := range r.told { // forget what is gone
		if _, ok := g.replica(t.id); !ok {
			delete(r.told, t)
		}
	}
}

// telling is one thing that is told of a replica once.
type telling struct {
	id   string
	kind rhumb.EventKind
}

// once tells an event about a replica unless it was told. After a restart of the daemon, replicas that were ready
// long ago are told of again only while a deployment goes on.
func (r *runner) once(ctx context.Context, g *goal, rep rhumb.Replica, kind rhumb.EventKind, text string) {
	key := telling{rep.ID, kind}
	if r.told[key] {
		return
	}
	r.told[key] = true
	if g.open == nil && rep.Started.Before(r.c.started) {
		return
	}
	r.c.events.Announce(ctx, g.event(rep, kind, text))
}

// event makes an event about a replica.
func (g *goal) event(rep rhumb.Replica, kind rhumb.EventKind, text string) rhumb.Event {
	e := rhumb.Event{Kind: kind, Stack: rep.Stack, Service: rep.Service, Replica: rep.Name(), Slot: rep.Slot, Release: rep.Release, Text: text}
	if rep.Slot == 0 {
		e.Replica = "" // it is about a network, a volume or an address
	}
	if g.open != nil {
		e.Deployment = g.open.ID
	}
	return e
}
