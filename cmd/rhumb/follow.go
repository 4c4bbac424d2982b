package main

import (
	"context"
	"errors"
	"fmt"

	"rhumb"
	"rhumb/cmd/rhumb/follow"
	"rhumb/cmd/rhumb/view"
)

// conclude follows a deployment that has begun and reports how it ended.
func (a *app) conclude(ctx context.Context, s rhumb.Server, d rhumb.Deployment, v view.Deployment, opts following) error {
	if d.ID == 0 {
		v.Close()
		return a.unchanged(d)
	}
	if opts.detach {
		v.Close()
		return a.leave(d, fmt.Sprintf("deployment %d of %s has begun; rhumb events -f -p %s follows it", d.ID, d.Stack, d.Stack), rhumb.ExitConverged)
	}
	f := &follow.Follower{Server: s, View: v, Deployment: d, Stdin: a.stdin, Timeout: opts.waitTimeout, Yes: opts.yes, By: who()}
	d, err := a.follow(ctx, f)
	if f.Asking() {
		v.Answered()
		if !a.o.json() {
			fmt.Fprintln(a.stderr) // end the question's line
		}
	}
	v.Close()
	if errors.Is(err, follow.ErrDetached) {
		words := fmt.Sprintf("no longer followed: deployment %d of %s goes on (rhumb ps -p %[2]s shows it, rhumb cancel -p %[2]s rolls it back)",
			d.ID, d.Stack)
		return a.leave(d, words, rhumb.ExitTimeout)
	}
	if err != nil {
		return err
	}
	return a.verdict(d)
}

// follow passes interrupts to the follower while it follows.
func (a *app) follow(ctx context.Context, f *follow.Follower) (rhumb.Deployment, error) {
	interrupts, give := a.interrupts.Take()
	defer give()
	f.Interrupts = interrupts
	return f.Follow(ctx)
}

func (a *app) unchanged(d rhumb.Deployment) error {
	if a.o.json() {
		return view.Line(a.stdout, map[string]any{"deployment": d})
	}
	if d.To == 0 {
		return &outcome{words: "nothing changed: " + d.Verdict().Text}
	}
	return &outcome{words: fmt.Sprintf("nothing changed: %s@%d serves", d.Stack, d.To)}
}

// leave ends the command while the deployment goes on.
func (a *app) leave(d rhumb.Deployment, words string, exit int) error {
	if a.o.json() {
		if err := view.Line(a.stdout, map[string]any{"deployment": d}); err != nil {
			return err
		}
		words = ""
	}
	return &outcome{exit: exit, words: words}
}

// verdict prints the failure cards and returns the verdict as an outcome.
func (a *app) verdict(d rhumb.Deployment) error {
	v := d.Verdict()
	if !a.o.json() {
		return &outcome{exit: v.Exit, words: view.Verdict(a.stderr, d)}
	}
	if err := view.Line(a.stdout, map[string]any{"deployment": d, "verdict": map[string]any{"exit": v.Exit, "text": v.Text}}); err != nil {
		return err
	}
	return &outcome{exit: v.Exit}
}
