package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rhumb"
)

// view shows how a deployment goes on. All of them read the same events.
type view interface {
	// build shows one line of news from a build.
	build(rhumb.BuildProgress)
	// event shows what happened.
	event(rhumb.Event)
	// say shows words of the client itself.
	say(words string)
	// ask puts a question on the screen, which stays as it is until answered is called.
	ask(question string)
	answered()
	// tick lets time pass.
	tick()
	// close leaves the view as it shall stay.
	close()
}

// subject is what a view shows: a stack's services with the replicas that they shall have.
type subject struct {
	stack    string
	services []wanted
}

type wanted struct {
	name     string
	replicas int
	job      bool
}

func subjectOf(m rhumb.Stack) subject {
	s := subject{stack: m.Name}
	for _, svc := range m.Services {
		s.services = append(s.services, wanted{svc.Name, max(svc.Replicas, btoi(svc.Job)), svc.Job})
	}
	return s
}

// subjectOfStatus is for changes of a stack whose model only the server has.
func subjectOfStatus(st rhumb.StackInfo, r rhumb.ChangeRequest) subject {
	s := subject{stack: st.Name}
	for _, svc := range st.Services {
		n := svc.Replicas
		if to, ok := r.Scale[svc.Name]; ok {
			n = to
		}
		s.services = append(s.services, wanted{svc.Name, n, svc.Job})
	}
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newView chooses how to show a deployment: lines of JSON, a block that is drawn again and again, or plain lines.
func (a *app) newView(s subject) view {
	switch {
	case a.o.json():
		return jsonView{a.stdout}
	case terminal(a.stderr) && a.paint(a.stderr).on:
		return newBlock(a.stderr, a.paint(a.stderr), s, time.Now)
	}
	return &lineView{w: a.stderr, said: map[string]string{}}
}

// wordsOf tells an event in plain words, without its stack.
func wordsOf(e rhumb.Event) string {
	who := e.Service
	if e.Replica != "" {
		who = shortName(e.Stack, e.Replica)
	}
	if who == "" {
		who = e.Stack
	}
	what := string(e.Kind)
	switch e.Kind {
	case rhumb.EventDeployment:
		what = string(e.Phase)
		if e.Phase == rhumb.PhaseRollingBack {
			what = "putting back"
		} else if e.Text != "" {
			what = "" // the text is the verdict, or says what begins
		}
	case rhumb.EventPull:
		what = "pulling"
	case rhumb.EventWarning, rhumb.EventBackoff:
		what = ""
	case rhumb.EventFailed:
		if e.Failure != nil && e.Failure.Reason != "" && e.Text == "" {
			e.Text = e.Failure.Reason
		}
	}
	if strings.HasPrefix(e.Text, what+" ") {
		what = "" // "ready after 5s"
	}
	switch {
	case what == "":
		return who + ": " + e.Text
	case e.Text == "":
		return who + ": " + what
	}
	return fmt.Sprintf("%s: %s: %s", who, what, e.Text)
}

// shortName takes the stack's name off a replica's: "web.42.1".
func shortName(stack, replica string) string {
	if n := len(stack) + 1; len(replica) > n && replica[:n] == stack+"-" {
		return replica[n:]
	}
	return replica
}

// ticking runs tick now and then while do runs.
func ticking(ctx context.Context, v view, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	t := time.NewTicker(frame)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-t.C:
			v.tick()
		}
	}
}

// frame is how often a block is drawn again.
const frame = 100 * time.Millisecond
