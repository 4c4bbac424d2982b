package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// deployment is what the events say of one deployment.
type deployment struct {
	stack      string
	cause      rhumb.Cause
	from, to   int
	differs    string // "image api:9 -> api:10"
	by         string
	began      time.Time
	backing    time.Time // when it began to be rolled back
	ended      time.Time
	phase      rhumb.Phase
	why        string
	served     map[string]time.Time // by service: when its first replica of the new release was ready
	serves     time.Time            // the first of them
	serviceOps []string             // services of which a replica was started or stopped
}

// deploymentFinder finds what deployments are and become.
type deploymentFinder struct{ *findings }

// deployments finds the deployments.
func (f deploymentFinder) deployments() {
	byID := map[int64]*deployment{}
	var order []int64
	for _, ev := range f.events {
		if ev.Deployment == 0 {
			continue
		}
		d := byID[ev.Deployment]
		if d == nil {
			d = &deployment{stack: ev.Stack, began: ev.at, to: ev.Release, by: ev.By, served: map[string]time.Time{}}
			byID[ev.Deployment] = d
			order = append(order, ev.Deployment)
		}
		d.take(ev)
	}
	for _, id := range order {
		if d := byID[id]; !latest(d.began, d.serves, d.backing, d.ended).Before(f.early()) {
			f.deployed(d)
		}
	}
}

// take adds an event to its deployment.
func (d *deployment) take(ev event) {
	switch ev.Kind {
	case rhumb.EventDeployment:
		switch ev.Phase {
		case rhumb.PhaseRolling:
			d.to, d.began = ev.Release, ev.at
			d.cause, d.from, d.differs = begun(ev.Msg)
		case rhumb.PhaseRollingBack:
			d.backing, d.why = ev.at, ev.Msg
		default:
			d.ended = ev.at
		}
		d.phase = ev.Phase
		if d.why == "" && ev.Phase != rhumb.PhaseConverged && ev.Phase.Ended() {
			d.why = ev.Msg
		}
	case rhumb.EventReady:
		if ev.Release == d.to && d.served[ev.Service].IsZero() {
			d.served[ev.Service] = ev.at
			if d.serves.IsZero() {
				d.serves = ev.at
			}
		}
		d.touch(ev.Service)
	case rhumb.EventStarting, rhumb.EventStarted, rhumb.EventDraining, rhumb.EventStopped, rhumb.EventFailed:
		d.touch(ev.Service)
	}
}

func (d *deployment) touch(service string) {
	if service != "" && !slices.Contains(d.serviceOps, service) {
		d.serviceOps = append(d.serviceOps, service)
		slices.Sort(d.serviceOps)
	}
}

// begun reads the text of a deployment's first event: "deploy: release 41 to release 42 (image of web)".
func begun(text string) (cause rhumb.Cause, from int, differs string) {
	head, tail, _ := strings.Cut(text, ": ")
	var to int
	if _, err := fmt.Sscanf(tail, "release %d to release %d", &from, &to); err != nil {
		from = 0
	}
	if _, in, ok := strings.Cut(tail, "("); ok {
		differs = strings.TrimSuffix(in, ")")
	}
	return rhumb.Cause(head), from, differs
}

// deployed adds what a deployment is.
func (f deploymentFinder) deployed(d *deployment) {
	at := d.serves
	if at.IsZero() {
		at = d.began
	}
	h := &happening{began: d.began, services: d.serviceOps, from: d.from}
	h.At, h.Stack, h.Release = at, d.stack, d.to
	if len(d.serviceOps) == 1 {
		h.Service = d.serviceOps[0]
	}
	name := d.stack
	if h.Service != "" {
		name += "/" + h.Service
	}
	switch d.cause {
	case rhumb.CauseScale:
		h.Kind, h.Text = rhumb.HappenedScale, f.scaled(d, h, name)
	case rhumb.CauseRestart:
		h.Kind, h.Text = rhumb.HappenedRestart, name+" was restarted"
	case rhumb.CauseRollback:
		h.Kind, h.Text = rhumb.HappenedRollback, fmt.Sprintf("release %d of %s was put back", d.to, name)
	case rhumb.CauseDown:
		h.Kind, h.At, h.Text = rhumb.HappenedScale, d.began, d.stack+" was taken down"
	default:
		h.Kind, h.Text = rhumb.HappenedRelease, fmt.Sprintf("release %d of %s began to serve", d.to, name)
		if d.serves.IsZero() {
			h.Text = fmt.Sprintf("release %d of %s began to be deployed", d.to, name)
		}
	}
	h.Text += by(d)
	f.happen(h)
	if bad := d.phase == rhumb.PhaseRolledBack || d.phase == rhumb.PhaseStuck || d.phase == rhumb.PhasePaused ||
		d.phase == rhumb.PhaseIncomplete || !d.backing.IsZero(); bad {
		f.aborted(d, h, name)
	}
}

// by returns what differs in a release and who has asked for it, in parentheses; "": nothing is known.
func by(d *deployment) string {
	var parts []string
	if d.differs != "" {
		parts = append(parts, d.differs)
	}
	if d.by != "" {
		parts = append(parts, "by "+d.by)
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// scaled returns how a deployment has changed the number of replicas. The series say how many there are.
func (f deploymentFinder) scaled(d *deployment, h *happening, name string) string {
	for _, k := range f.keys(wanted) {
		points := f.of(wanted, k)
		if k.stack != d.stack || len(points) == 0 {
			continue
		}
		was, is, ok := around(points, d.began)
		if ok && was != is {
			h.Service = k.service
			return fmt.Sprintf("%s/%s was scaled from %g to %g", k.stack, k.service, was, is)
		}
	}
	return name + " was scaled"
}

// around returns the last value before a time, and the first that differs, within five minutes.
func around(points []rhumb.Point, at time.Time) (was, is float64, ok bool) {
	for _, p := range points {
		switch {
		case !p.Time.After(at):
			was, is, ok = p.Value, p.Value, true
		case p.Time.After(at.Add(5 * time.Minute)):
			return was, is, ok
		case ok && p.Value != was:
			return was, p.Value, true
		}
	}
	return was, is, ok
}

// aborted adds that a deployment has failed, and that the release before was put back.
func (f deploymentFinder) aborted(d *deployment, h *happening, name string) {
	at := d.backing
	if at.IsZero() {
		at = d.ended
	}
	h.until = d.ended
	why := d.why
	if why == "" {
		why = "no reason is known"
	}
	f.worse(&trouble{symptom: aborted, stack: d.stack, service: h.Service, at: at, size: 1,
		phrase:   "it failed: " + clip(why),
		evidence: rhumb.Evidence{At: at, Text: fmt.Sprintf("the deployment of %s failed: %s", name, clip(why))}})
	if d.phase != rhumb.PhaseRollingBack && d.phase != rhumb.PhaseRolledBack {
		return
	}
	back := &happening{as: aborted, effect: true, services: d.serviceOps, from: d.to}
	back.Kind, back.At, back.Stack, back.Service, back.Release = rhumb.HappenedRollback, at, d.stack, h.Service, d.from
	back.Text = fmt.Sprintf("release %d of %s was put back, because release %d failed: %s", d.from, name, d.to, clip(why))
	f.happen(back)
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }
