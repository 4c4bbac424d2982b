package view

import (
	"context"
	"io"
	"time"

	"rhumb"
)

// Deployment shows how a deployment goes on. All of them read the same events.
type Deployment interface {
	// Build shows one line of news from a build.
	Build(rhumb.BuildProgress)
	// Event shows what happened.
	Event(rhumb.Event)
	// Hold shows how many requests wait for a service's replica, and for how long the first has; 0: none waits any more.
	Hold(service string, requests int, waited time.Duration)
	// Say shows words of the client itself.
	Say(words string)
	// Ask puts a question on the screen, which stays as it is until Answered is called.
	Ask(question string)
	Answered()
	// Tick lets time pass.
	Tick()
	// Close leaves the view as it shall stay.
	Close()
}

// Subject is what a view shows: a stack's services with the replicas that they shall have.
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

// SubjectOf is for a model that is to be deployed.
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

// SubjectOfStatus is for changes of a stack whose model only the server has.
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

// New chooses how to show a deployment: lines of JSON, a block that is drawn again and again, or plain lines.
func New(json bool, stdout, stderr io.Writer, s Subject) Deployment {
	switch {
	case json:
		return jsonView{w: stdout}
	case paintOn(stderr).on:
		return newBlock(stderr, paintOn(stderr), s, time.Now)
	}
	return &lineView{w: stderr, said: map[string]string{}}
}

// Ticking lets time pass in a view while do runs.
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

// Frame is how often a block is drawn again.
const Frame = 100 * time.Millisecond

// Silent is a view that shows nothing.
type Silent struct{}

// Build shows nothing.
func (Silent) Build(rhumb.BuildProgress) {}

// Event shows nothing.
func (Silent) Event(rhumb.Event) {}

// Hold shows nothing.
func (Silent) Hold(string, int, time.Duration) {}

// Say shows nothing.
func (Silent) Say(string) {}

// Ask shows nothing.
func (Silent) Ask(string) {}

// Answered shows nothing.
func (Silent) Answered() {}

// Tick shows nothing.
func (Silent) Tick() {}

// Close shows nothing.
func (Silent) Close() {}
