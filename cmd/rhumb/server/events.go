package server

import (
	"context"
	"encoding/json"
	"io"

	"rhumb"
)

// withLines returns a store that writes each event that it stores as a line, too; w nil: the store itself.
func withLines(s rhumb.Store, w io.Writer) rhumb.Store {
	if w == nil {
		return s
	}
	return eventLines{s, w}
}

// eventLines is a store whose events are also lines of JSON.
type eventLines struct {
	rhumb.Store
	lines io.Writer
}

// eventLine is the form of an event in a line. The collector knows the names of the stack, service, release and
// replica.
type eventLine struct {
	Level      string          `json:"level"`
	Kind       rhumb.EventKind `json:"kind"`
	Msg        string          `json:"msg,omitzero"`
	Stack      string          `json:"stack,omitzero"`
	Service    string          `json:"service,omitzero"`
	Release    int             `json:"release,omitzero"`
	Replica    string          `json:"replica,omitzero"`
	Deployment int64           `json:"deployment,omitzero"`
	Phase      rhumb.Phase     `json:"phase,omitzero"`
	By         string          `json:"by,omitzero"`
	ID         int64           `json:"id"`
	Failure    *rhumb.Failure  `json:"failure,omitzero"`
	Hook       *rhumb.HookRun  `json:"hook,omitzero"`
}

// Append stores an event and then writes its line.
func (s eventLines) Append(ctx context.Context, e rhumb.Event) (rhumb.Event, error) {
	kept, err := s.Store.Append(ctx, e)
	if err != nil || kept.ID == 0 {
		return kept, err
	}
	line, err := json.Marshal(eventLine{Level: levelOf(kept).String(), Kind: kept.Kind, Msg: kept.Text,
		Stack: kept.Stack, Service: kept.Service, Release: kept.Release, Replica: kept.Replica,
		Deployment: kept.Deployment, Phase: kept.Phase, By: kept.By, ID: kept.ID, Failure: kept.Failure, Hook: kept.Hook})
	if err == nil { // always: it has only strings, numbers and times
		_, _ = s.lines.Write(line) // it never fails
	}
	return kept, nil
}

// hookLine is the form of a line of a hook inside a replica. The collector knows the names.
type hookLine struct {
	Stack   string `json:"stack"`
	Service string `json:"service"`
	Release int    `json:"release"`
	Replica string `json:"replica"`
	Stderr  bool   `json:"stderr,omitzero"`
	Text    string `json:"text"`
}

// hookLines returns what writes the lines of hooks inside replicas; w nil: nothing does.
func hookLines(w io.Writer) func(rhumb.LogLine) {
	if w == nil {
		return nil
	}
	return func(l rhumb.LogLine) {
		line, err := json.Marshal(hookLine{l.Stack, l.Service, l.Release, l.Replica, l.Stderr, l.Text})
		if err == nil { // always
			_, _ = w.Write(line) // it never fails
		}
	}
}

// levelOf returns how serious an event is.
func levelOf(e rhumb.Event) rhumb.Level {
	switch e.Phase {
	case rhumb.PhaseRolledBack, rhumb.PhaseStuck, rhumb.PhasePaused, rhumb.PhaseIncomplete:
		return rhumb.LevelError
	case rhumb.PhaseRollingBack:
		return rhumb.LevelWarn
	}
	switch {
	case e.Kind == rhumb.EventFailed:
		return rhumb.LevelError
	case e.Kind == rhumb.EventWarning, e.Kind == rhumb.EventLimits, e.Kind == rhumb.EventBackoff,
		e.Hook != nil && e.Hook.Failed != "":
		return rhumb.LevelWarn
	}
	return rhumb.LevelInfo
}
