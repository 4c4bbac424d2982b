package why_test

import (
	"encoding/json"
	"fmt"
	"time"

	"rhumb"
	"rhumb/observe/parse"
)

// say adds a line of a service.
func (w *world) say(at time.Time, service, format string, args ...any) {
	l := rhumb.LogLine{Time: at, Stack: "shop", Service: service, Replica: "shop-" + service + ".41.1", Release: 41,
		Text: fmt.Sprintf(format, args...)}
	if service == "site" {
		l.Stack = "blog"
	}
	parse.Describe(&l)
	w.lines = append(w.lines, l)
}

// chatter adds what a service always writes.
func (w *world) chatter(at time.Time, a *app) {
	for range 2 {
		w.say(at.Add(time.Duration(w.r.IntN(14_000))*time.Millisecond), a.name, "%s INFO request %x served in %d ms",
			at.Format(time.RFC3339Nano), w.r.Uint64(), w.r.IntN(90))
	}
	switch u := w.r.Float64(); {
	case u < 0.03:
		w.say(at, a.name, "ERROR user %d: session %x isn't valid", w.r.IntN(9000), w.r.Uint32())
	case u < 0.06:
		w.say(at, a.name, `{"level":"warn","msg":"slow request","took":%d,"id":"%x"}`, w.r.IntN(900), w.r.Uint64())
	case u < 0.065:
		w.say(at, a.name, "ERROR %s of the day failed", []string{"the report", "a mail", "the clean-up", "an export",
			"a sync", "the index"}[w.r.IntN(6)])
	}
}

// event adds an event as the daemon writes it.
func (w *world) event(at time.Time, e rhumb.Event) {
	text, err := json.Marshal(map[string]any{"level": "info", "kind": e.Kind, "msg": e.Text, "stack": e.Stack,
		"service": e.Service, "release": e.Release, "replica": e.Replica, "deployment": e.Deployment, "phase": e.Phase,
		"by": e.By, "failure": e.Failure})
	if err != nil {
		panic(err)
	}
	l := rhumb.LogLine{Time: at, Stack: e.Stack, Service: e.Service, Release: e.Release, Replica: e.Replica,
		Kind: rhumb.LineEvent, Text: string(text)}
	parse.Describe(&l)
	w.lines = append(w.lines, l)
}

// own adds a line of rhumb's own log.
func (w *world) own(at time.Time, kind rhumb.LineKind, text string) {
	l := rhumb.LogLine{Time: at, Kind: kind, Text: text}
	parse.Describe(&l)
	w.lines = append(w.lines, l)
}

// deploy simulates a deployment that begins at a time and converges; the traffic moves to the new release about 25 s
// later. It returns when the first replica was ready.
func (w *world) deploy(at time.Time, cause rhumb.Cause, from, to int, differs string, services ...string) time.Time {
	w.nextID++
	id := w.nextID
	of := func(kind rhumb.EventKind, service, text string) rhumb.Event {
		e := rhumb.Event{Kind: kind, Stack: "shop", Service: service, Release: to, Deployment: id, Text: text, By: "anna"}
		if service != "" {
			e.Replica = rhumb.ReplicaName("shop", service, to, 1)
		}
		return e
	}
	first := of(rhumb.EventDeployment, "", fmt.Sprintf("%s: release %d to release %d%s", cause, from, to, differs))
	first.Phase = rhumb.PhaseRolling
	w.event(at, first)
	ready := at.Add(8 * time.Second)
	for i, s := range services {
		ready = at.Add(time.Duration(8+12*i) * time.Second)
		w.event(ready.Add(-6*time.Second), of(rhumb.EventStarting, s, ""))
		w.event(ready, of(rhumb.EventReady, s, "ready after 5s"))
		w.event(ready.Add(15*time.Second), of(rhumb.EventStopped, s, ""))
	}
	last := of(rhumb.EventDeployment, "", fmt.Sprintf("converged: shop@%d serves", to))
	last.Phase = rhumb.PhaseConverged
	w.event(ready.Add(25*time.Second), last)
	shift := at.Add(8 * time.Second)
	w.knobs = append([]knob{func(w *world, now time.Time) {
		for _, s := range services {
			a := w.app(s)
			if !now.Before(shift) {
				a.release = to
				if from == to-1 && now.Before(shift.Add(90*time.Second)) {
					a.older = 0.5
				}
			}
		}
	}}, w.knobs...)
	return shift
}

// fail adds that a replica has ended.
func (w *world) fail(at time.Time, service string, release int, f rhumb.Failure) {
	f.At, f.Service, f.Release, f.Replica = at, service, release, rhumb.ReplicaName("shop", service, release, 1)
	w.event(at, rhumb.Event{Kind: rhumb.EventFailed, Stack: "shop", Service: service, Release: release,
		Replica: f.Replica, Text: f.Reason, Failure: &f, Deployment: w.failing})
}
