package view

import (
	"context"
	"io"
	"time"

	"rhumb"
)

// Deployment shows the progress of a deployment. All implementations read the same events.
type Deployment interface {
	// Build shows the progress of a build.
	Build(rhumb.BuildProgress)
	// Event shows an event.
	Event(rhumb.Event)
	// Hold shows how many requests wait for a replica of the service, and for how long the first has waited. With 0
	// requests it stops showing them.
	Hold(service string, requests int, waited time.Duration)
	// Say shows a message of the client.
	Say(words string)
	// Ask shows a question and stops drawing until Answered is called.
	Ask(question string)
	Answered()
	// Tick redraws what depends on the time. Call it every Frame.
	Tick()
	// Close draws the final state.
	Close()
}

// Subject is what a view shows: a stack's services and how many replicas they want.
type Subject struct {
	stack    string
	services []wanted
}

type wanted struct {
	name     string
	replicas int
	job      bool
	after    []string // the services that it depends on
}

// SubjectOf returns the subject of the deployment of a model.
func SubjectOf(m rhumb.Stack) Subject {
	s := Subject{stack: m.Name}
	for _, svc := range m.Services {
		w := wanted{name: svc.Name, replicas: max(svc.Replicas, btoi(svc.Job)), job: svc.Job}
		for _, d := range svc.DependsOn {
			w.after = append(w.after, d.Service)
		}
		s.services = append(s.services, w)
	}
	return s
}

// SubjectOfStatus returns the subject of a change to a stack whose model only the server has.
func SubjectOfStatus(st rhumb.StackInfo, r rhumb.ChangeRequest) Subject {
	s := Subject{stack: st.Name}
	for _, svc := range st.Services {
		n := svc.Replicas
		if to, ok := r.Scale[svc.Name]; ok {
			n = to
		}
		s.services = append(s.services, wanted{name: svc.Name, replicas: n, job: svc.Job})
	}
	return s
}

// New returns a view of a deployment: lines of JSON; on a terminal, a block that is redrawn; elsewhere, plain lines.
func New(json bool, stdout, stderr io.Writer, s Subject) Deployment {
	switch {
	case json:
		return jsonView{w: stdout}
	case paintOn(stderr).on:
		return newBlock(stderr, paintOn(stderr), s, time.Now)
	}
	return Lines(stderr)
}

// Lines returns a view of plain lines.
func Lines(w io.Writer) Deployment { return &lineView{w: w, said: map[string]string{}} }

// Ticking runs do and calls v.Tick every Frame until do returns.
func Ticking(ctx context.Context, v Deployment, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	t := time.NewTicker(Frame)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-t.C:
			v.Tick()
		}
	}
}

// Frame is the interval between two pictures of a block.
const Frame = 100 * time.Millisecond

// silent is a view that shows nothing, for others to embed.
type silent struct{}

// Build shows nothing.
func (silent) Build(rhumb.BuildProgress) {}

// Event shows nothing.
func (silent) Event(rhumb.Event) {}

// Hold shows nothing.
func (silent) Hold(string, int, time.Duration) {}

// Say shows nothing.
func (silent) Say(string) {}

// Ask shows nothing.
func (silent) Ask(string) {}

// Answered shows nothing.
func (silent) Answered() {}

// Tick shows nothing.
func (silent) Tick() {}

// Close shows nothing.
func (silent) Close() {}
