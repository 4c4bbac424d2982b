package alerts

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
	"rhumb/observe"
)

const (
	// warmUp is for how long after a start, or after a gap, an alert can't be over: the measuring process starts too,
	// and what isn't measured yet looks as if it were well.
	warmUp       = 2 * time.Minute
	maxGap       = time.Minute    // a condition that wasn't looked at for longer begins to hold again
	keepResolved = 24 * time.Hour // alerts that are over are shown for so long
)

// apply brings the alerts of a rule up to date. It reports whether one changed its state.
func (b *book) apply(r result, now time.Time) (changed bool) {
	if r.err != nil {
		return false // the alerts stay as they are
	}
	for _, h := range r.holds {
		changed = b.hold(r.rule, h, now) || changed
	}
	own := r.rule
	for id, rec := range b.state.Alerts {
		if rec.key() == keyOf(own) && !rec.Last.Equal(now) {
			changed = b.release(id, own.Keep, now) || changed
		}
	}
	return changed
}

// hold records that a rule's condition holds.
func (b *book) hold(r rhumb.AlertRule, h holding, now time.Time) (changed bool) {
	rec := b.state.Alerts[h.id]
	if rec == nil || rec.State == rhumb.AlertResolved {
		if rec == nil && !b.room() {
			return false
		}
		rec = &record{Alert: rhumb.Alert{ID: h.id, Rule: r.Name, State: rhumb.AlertPending, Since: now}, Last: now}
		b.state.Alerts[h.id] = rec
		changed = true
	}
	if rec.State == rhumb.AlertPending && now.Sub(rec.Last) > maxGap {
		rec.Since = now
	}
	rec.Last, rec.Of, rec.Replicas = now, scope{r.Name, r.Stack, r.Service}.key(), r.Replicas
	rec.Severity, rec.Value, rec.Text = r.Severity, h.value, textOf(r, h.labels, h.value)
	rec.Labels = shortened(h.labels)
	rec.Stack = cmp.Or(rec.Labels["stack"], r.Stack)
	rec.Service = cmp.Or(rec.Labels["service"], r.Service)
	rec.Replica = rec.Labels["replica"]
	if rec.State == rhumb.AlertPending && now.Sub(rec.Since) >= r.For {
		rec.State, rec.Fired, changed = rhumb.AlertFiring, now, true
		b.log.Info("alert fires", "rule", r.Name, "stack", rec.Stack, "service", rec.Service, "text", rec.Text)
	}
	return changed
}

// release records that an alert's condition doesn't hold any more.
func (b *book) release(id string, keep time.Duration, now time.Time) (changed bool) {
	rec := b.state.Alerts[id]
	switch {
	case rec.State == rhumb.AlertPending:
		delete(b.state.Alerts, id)
		return true
	case rec.State != rhumb.AlertFiring || now.Sub(rec.Last) < keep ||
		!b.warm(now) && rec.Rule != alertrule.MeasuringStopped:
		return false
	}
	rec.State, rec.Resolved = rhumb.AlertResolved, now
	b.log.Info("alert resolved", "rule", rec.Rule, "stack", rec.Stack, "service", rec.Service)
	return true
}

// warm reports whether what isn't there now can be believed to be over.
func (b *book) warm(now time.Time) bool { return !b.began.IsZero() && now.Sub(b.began) >= warmUp }

// room reports whether there may be one more alert. The one that has been over for longest makes room.
func (b *book) room() bool {
	if len(b.state.Alerts) < maxAlerts {
		b.full = false
		return true
	}
	oldest := ""
	for id, rec := range b.state.Alerts {
		if rec.State == rhumb.AlertResolved && (oldest == "" || rec.Resolved.Before(b.state.Alerts[oldest].Resolved)) {
			oldest = id
		}
	}
	if oldest != "" {
		delete(b.state.Alerts, oldest)
		return true
	}
	if !b.full {
		b.full = true
		b.log.Error("too many alerts, new ones are left out", "most", maxAlerts)
	}
	return false
}

// resolveOrphans ends the alerts whose rules are gone or off.
func (b *book) resolveOrphans(rules ruleSet, now time.Time) (changed bool) {
	known := map[string]bool{alertrule.MeasuringStopped: true, alertrule.RuleFailed: true}
	for _, r := range rules.all {
		if !r.Off {
			known[keyOf(r)] = true
		}
	}
	for id, rec := range b.state.Alerts {
		if !known[rec.key()] && !known[rec.Rule] {
			changed = b.release(id, 0, now) || changed
		}
	}
	return changed
}

// forget drops what has been over for a day, and silences that have ended.
func (b *book) forget(now time.Time) (changed bool) {
	before := len(b.state.Alerts) + len(b.state.Silences)
	maps.DeleteFunc(b.state.Alerts, func(_ string, rec *record) bool {
		return rec.State == rhumb.AlertResolved && now.Sub(rec.Resolved) > keepResolved
	})
	b.state.Silences = slices.DeleteFunc(b.state.Silences, func(s rhumb.Silence) bool { return !s.Until.After(now) })
	return len(b.state.Alerts)+len(b.state.Silences) != before
}

// mark says for each alert which release serves, and what keeps it from being sent.
func (b *book) mark(now time.Time) {
	inhibited := map[string]bool{}
	for _, rec := range b.state.Alerts {
		if _, looked := inhibited[rec.Stack]; !looked {
			inhibited[rec.Stack] = b.deploying(rec.Stack, now)
		}
		rec.Silence, rec.Inhibited = "", rec.Replicas && inhibited[rec.Stack] && rec.State != rhumb.AlertResolved
		for _, s := range b.state.Silences {
			if s.Matches(rec.Alert) {
				rec.Silence = s.ID
			}
		}
		if rec.State == rhumb.AlertResolved {
			continue
		}
		if info, at := b.standings.Stack(rec.Stack); !at.IsZero() {
			rec.Release = info.Release
			if info.Deployment != nil {
				rec.Deployment = info.Deployment.ID
			}
		}
	}
}

const (
	oldStanding   = 2 * time.Minute // a deployment may have ended since
	afterVerdict  = time.Minute
	afterRollback = 3 * time.Minute // crashes of the failed release have been counted until its end
)

// deploying reports whether a deployment replaces the stack's replicas, or has done so until a moment ago.
func (b *book) deploying(stack string, now time.Time) bool {
	info, at := b.standings.Stack(stack)
	d := info.Deployment
	switch {
	case at.IsZero() || now.Sub(at) > oldStanding || d == nil:
		return false
	case !d.Phase.Ended():
		return true
	case d.Phase == rhumb.PhaseConverged:
		return now.Sub(d.Ended) < afterVerdict
	}
	return now.Sub(d.Ended) < afterRollback
}

const (
	maxLabels = 32
	maxLabel  = 256 // runes
)

// shortened returns labels that don't fill the memory.
func shortened(labels map[string]string) map[string]string {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if len(out) == maxLabels {
			break
		}
		out[observe.OneLine(name, maxLabel)] = observe.OneLine(labels[name], maxLabel)
	}
	return out
}
