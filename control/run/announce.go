package run

import (
	"context"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/control/act"
	"rhumb/control/ledger"
	"rhumb/control/scene"
	"rhumb/rollout"
)

// announcer announces what looks show for the first time. Only the turn uses it, except for retry.
type announcer struct {
	stack string
	since time.Time // when the daemon started
	send  func(context.Context, rhumb.Event)
	done  map[announced]bool

	counted  rhumb.Tally                 // what the proxy had counted at the last announcement
	lastLost time.Time                   // when lost requests were last announced
	limited  map[string]rhumb.LimitStats // by backend, as last announced
}

// announced is one thing that is announced of a replica once.
type announced struct {
	id   string
	kind rhumb.EventKind
}

// look announces the replicas that are ready, cut off, or completed, and forgets those that are gone.
func (a *announcer) look(ctx context.Context, s *scene.Scene) {
	for _, rep := range s.Observed.Replicas {
		if rep.Slot == 0 {
			continue
		}
		if since, ok := s.Observed.Ready[rep.ID]; ok && rep.Alive() {
			took := since.Sub(rep.Started).Round(10 * time.Millisecond)
			a.once(ctx, s, rep, rhumb.EventReady, "ready after "+took.String())
		}
		if cut := (announced{rep.ID, rhumb.EventWarning}); s.Observed.Severed[rep.ID] && !a.done[cut] {
			a.done[cut] = true
			a.send(ctx, s.Event(rep, rhumb.EventWarning, "was disconnected by hand from a network of its stack"))
		}
		svc, _ := s.Definition(rep)
		// the recorder announces hooks
		if _, _, hook := rhumb.HookOf(rep.Service); svc != nil && rollout.Completed(svc, rep) && !hook {
			a.once(ctx, s, rep, rhumb.EventCompleted, "")
		}
	}
	maps.DeleteFunc(a.done, func(k announced, _ bool) bool { _, here := s.Replica(k.id); return !here })
}

// once announces an event of a replica unless it was announced. After a restart of the daemon, replicas that were ready
// long ago are announced again only while a deployment is open.
func (a *announcer) once(ctx context.Context, s *scene.Scene, rep rhumb.Replica, kind rhumb.EventKind, text string) {
	key := announced{rep.ID, kind}
	if a.done[key] {
		return
	}
	a.done[key] = true
	if s.Open == nil && rep.Started.Before(a.since) {
		return
	}
	a.send(ctx, s.Event(rep, kind, text))
}

// severed reports whether a replica was found cut off from a network before.
func (a *announcer) severed(id string) bool { return a.done[announced{id, rhumb.EventWarning}] }

// retry announces that a step failed and is tried again.
func (a *announcer) retry(ctx context.Context, s *scene.Scene, step rhumb.Step, err error) {
	a.send(ctx, s.StepEvent(step, rhumb.EventWarning, act.Reason(step, err)+"; trying again"))
}

// unserved announces connections and requests that the proxy could not serve since the last time, at most once a
// minute.
func (a *announcer) unserved(ctx context.Context, s *scene.Scene, now time.Time) {
	if a.counted.Proxy.IsZero() { // the proxy may have counted before this daemon started
		a.counted = ledger.Tally(s.Router, a.stack)
	}
	lost := ledger.Since(a.counted, s.Router, a.stack)
	if len(lost) == 0 || now.Before(a.lastLost.Add(time.Minute)) {
		return
	}
	a.counted, a.lastLost = ledger.Tally(s.Router, a.stack), now
	for _, service := range slices.Sorted(maps.Keys(lost)) {
		rep := rhumb.Replica{Stack: a.stack, Service: service}
		a.send(ctx, s.Event(rep, rhumb.EventWarning, rhumb.Unserved(service, lost[service])))
	}
}
