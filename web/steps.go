package web

import (
	"context"
	"strings"
	"time"

	"rhumb"
)

// maxSteps is how many events the page of a deployment is made from.
const maxSteps = 500

// stepRow is one thing that a deployment has done or is doing. What has a beginning and an end is one row.
type stepRow struct {
	At      time.Time
	Tone    string // "ok", "now", "warn", "bad", or "" for what is only said
	What    string // "web.42.1"
	Deed    string // "is ready"
	Why     string
	Took    time.Duration // 0: unknown
	Stage   bool          // of the deployment itself
	Failure *rhumb.Failure
}

// eventsOf returns the stored events that a filter chooses.
func (s *server) eventsOf(ctx context.Context, f rhumb.EventFilter) ([]rhumb.Event, error) {
	var list []rhumb.Event
	for e, err := range s.History.Events(ctx, f) {
		if err != nil {
			return list, err
		}
		list = append(list, e)
	}
	return list, nil
}

// stepsOf returns what a deployment has done, from its events, oldest first. In an open deployment, what has begun and
// not ended is going on.
func stepsOf(events []rhumb.Event, open bool) []stepRow {
	var rows []stepRow
	begun := map[string]int{} // the rows of what goes on, by replica
	for _, e := range events {
		row := stepOf(e)
		i, ok := begun[e.Replica]
		ok = ok && e.Replica != ""
		switch e.Kind {
		case rhumb.EventStarting, rhumb.EventDraining:
			row.Tone = "now"
			begun[e.Replica] = len(rows)
		case rhumb.EventStarted:
			if ok {
				rows[i].Deed = row.Deed
				continue
			}
			row.Tone = "now"
			begun[e.Replica] = len(rows)
		case rhumb.EventReady, rhumb.EventStopped, rhumb.EventCompleted, rhumb.EventFailed:
			if ok {
				row.At, row.Took = rows[i].At, e.At.Sub(rows[i].At)
				rows[i] = row
				delete(begun, e.Replica)
				continue
			}
		}
		rows = append(rows, row)
	}
	for _, i := range begun {
		if !open {
			rows[i].Tone = ""
		}
	}
	return rows
}

// stepOf returns an event as a row of its own.
func stepOf(e rhumb.Event) stepRow {
	row := stepRow{At: e.At, What: e.Service, Why: e.Text, Failure: e.Failure}
	if e.Replica != "" {
		row.What = shortName(e.Stack, e.Replica)
	}
	switch e.Kind {
	case rhumb.EventDeployment:
		row.Stage, row.Deed, row.What, row.Tone = true, phaseWord(e.Phase), "", phaseTone(e.Phase)
		row.Why = strings.TrimPrefix(e.Text, row.Deed+": ")
	case rhumb.EventStarting:
		row.Deed = "is starting"
	case rhumb.EventStarted:
		row.Deed = "has started; it isn't ready yet"
	case rhumb.EventReady:
		row.Deed, row.Tone, row.Why = "is ready", "ok", ""
	case rhumb.EventDraining:
		row.Deed = "is draining"
	case rhumb.EventStopped:
		row.Deed, row.Tone = "has stopped", "ok"
	case rhumb.EventCompleted:
		row.Deed, row.Tone = "has completed", "ok"
	case rhumb.EventFailed:
		row.Deed, row.Tone = "has failed", "bad"
		if e.Failure != nil && e.Text == "" {
			row.Why = e.Failure.Reason
		}
	case rhumb.EventBackoff:
		row.Deed, row.Tone = "crashes, and waits before its next start", "bad"
	case rhumb.EventHook:
		row.Deed, row.Tone = "a hook has run", "ok"
		if h := e.Hook; h != nil {
			row.Deed, row.Took = h.Title()+" has run", h.Took
			if h.Failed != "" {
				row.Deed, row.Tone, row.Why = h.Title()+" has failed", "bad", h.Failed
			}
		}
	case rhumb.EventWarning, rhumb.EventLimits:
		row.Deed, row.Tone = "", "warn"
	default:
		row.Deed = string(e.Kind)
	}
	return row
}

func phaseTone(p rhumb.Phase) string {
	switch {
	case p == rhumb.PhaseConverged:
		return "ok"
	case !p.Ended():
		return ""
	case p == rhumb.PhasePaused || p == rhumb.PhaseIncomplete:
		return "warn"
	}
	return "bad"
}
