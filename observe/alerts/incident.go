package alerts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/notify"
)

const (
	gatherTime  = 15 * time.Second // what fires together is sent together
	joinTime    = 5 * time.Minute  // between two messages, if an alert joins that isn't critical
	repeatTime  = 4 * time.Hour    // between two messages about a critical alert
	endedFor    = 5 * time.Minute  // for how long Current has an alert that is over
	maxVerdict  = 300              // runes of a verdict in a message
	maxReported = 50               // alerts in one list of a message
)

// incident is the time in which a stack has alerts that messages reported. Between incidents there is none.
type incident struct {
	ID    string
	Sent  time.Time              // the last message; zero: none yet
	First time.Time              // since when there has been an alert that no message had; zero: there is none
	Known map[string]rhumb.Alert // the alerts that messages had, by ID, as they were then
}

// visible reports whether people are to know of an alert.
func visible(rec *record) bool {
	return rec.State == rhumb.AlertFiring && rec.Silence == "" && !rec.Inhibited
}

// incidents returns the messages that are due, and records them as sent.
func (b *book) incidents(now time.Time) []notify.Message {
	firing := map[string][]*record{} // visible, by stack
	for _, rec := range b.state.Alerts {
		if visible(rec) {
			firing[rec.Stack] = append(firing[rec.Stack], rec)
		}
	}
	for stack := range firing {
		if b.state.Incidents[stack] == nil {
			b.state.Incidents[stack] = &incident{ID: fmt.Sprintf("%s-%d", cmp.Or(stack, "server"), now.Unix()),
				Known: map[string]rhumb.Alert{}}
		}
	}
	var due []notify.Message
	for _, stack := range slices.Sorted(maps.Keys(b.state.Incidents)) {
		i := b.state.Incidents[stack]
		if m, ok := b.advance(i, firing[stack], now); ok {
			m.Stack, m.At, m.Incident, m.Link = stack, now, i.ID, b.link
			m.Release, m.Deployment = b.standing(stack, now)
			due = append(due, m)
		}
		if len(i.Known) == 0 && i.First.IsZero() {
			delete(b.state.Incidents, stack)
		}
	}
	return due
}

// advance returns the message about an incident that is due now, if there is one.
func (b *book) advance(i *incident, firing []*record, now time.Time) (notify.Message, bool) {
	m := notify.Message{Kind: notify.Firing}
	urgent, critical := i.Sent.IsZero(), false
	for _, rec := range firing {
		critical = critical || rec.Severity == rhumb.SeverityCritical
		if known, ok := i.Known[rec.ID]; ok && known.Fired.Equal(rec.Fired) {
			m.Firing = append(m.Firing, rec.Alert)
			continue
		}
		m.New = append(m.New, rec.Alert)
		urgent = urgent || rec.Severity == rhumb.SeverityCritical
	}
	m.Resolved = b.over(i, now)
	switch {
	case len(m.New) > 0:
		if i.First.IsZero() {
			i.First = now
		}
		if now.Sub(i.First) < gatherTime || !urgent && now.Sub(i.Sent) < joinTime {
			return m, false
		}
	case len(m.Resolved) > 0 && len(m.Resolved) == len(i.Known):
		m.Kind = notify.Resolved
	case critical && now.Sub(i.Sent) >= repeatTime:
		m.Kind = notify.Still
	default:
		i.First = time.Time{}
		return m, false
	}
	i.sent(&m, now)
	return m, true
}

// over returns the alerts that people know of and that are over. One that is silenced now isn't, and neither is one
// that begins again.
func (b *book) over(i *incident, now time.Time) []rhumb.Alert {
	var list []rhumb.Alert
	for id, alert := range i.Known {
		switch rec := b.state.Alerts[id]; {
		case rec == nil: // it began again, and was over before it fired
			alert.State, alert.Resolved = rhumb.AlertResolved, now
			list = append(list, alert)
		case rec.State == rhumb.AlertResolved:
			list = append(list, rec.Alert)
		}
	}
	return list
}

// sent records what people know once they have the message.
func (i *incident) sent(m *notify.Message, now time.Time) {
	i.Sent, i.First = now, time.Time{}
	for _, alert := range m.Resolved {
		delete(i.Known, alert.ID)
	}
	for _, alert := range m.New {
		i.Known[alert.ID] = alert
	}
	for _, list := range []*[]rhumb.Alert{&m.New, &m.Firing, &m.Resolved} {
		slices.SortFunc(*list, compareAlerts)
		*list = (*list)[:min(len(*list), maxReported)]
	}
}

// compareAlerts sorts critical ones first, then by when they began, then by name.
func compareAlerts(a, b rhumb.Alert) int {
	return cmp.Or(cmp.Compare(a.Severity, b.Severity), a.Since.Compare(b.Since), cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.ID, b.ID))
}

// current returns the alerts that fire and that people are to know of, and those that ended a short time ago.
func (b *book) current(now time.Time) (firing, ended []rhumb.Alert) {
	for _, rec := range b.state.Alerts {
		switch {
		case visible(rec):
			firing = append(firing, rec.Alert)
		case rec.State == rhumb.AlertResolved && now.Sub(rec.Resolved) < endedFor:
			ended = append(ended, rec.Alert)
		}
	}
	slices.SortFunc(firing, compareAlerts)
	slices.SortFunc(ended, compareAlerts)
	return firing, ended
}

// standing returns which release of a stack serves, and its open or last deployment in words.
func (b *book) standing(stack string, now time.Time) (release int, deployment string) {
	info, at := b.standings.Stack(stack)
	d := info.Deployment
	switch {
	case at.IsZero() || d == nil:
		return info.Release, ""
	case !d.Phase.Ended():
		return info.Release, observe.OneLine(fmt.Sprintf("deployment %d by %s is %s since %s", d.ID, d.By, d.Phase,
			rhumb.Span(now.Sub(d.Started))), maxVerdict)
	}
	return info.Release, observe.OneLine(fmt.Sprintf("deployment %d by %s, ended %s ago: %s", d.ID, d.By,
		rhumb.Span(now.Sub(d.Ended)), d.Verdict().Text), maxVerdict)
}
