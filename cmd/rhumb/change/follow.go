package change

import (
	"context"
	"errors"
	"fmt"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/follow"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
)

// conclude follows a deployment that has begun and reports how it ended.
func conclude(ctx context.Context, a *cli.App, s rhumb.Server, d rhumb.Deployment, v view.Deployment,
	opts following) error {
	if d.ID == 0 {
		v.Close()
		return unchanged(a, d)
	}
	if opts.detach {
		v.Close()
		words := fmt.Sprintf("deployment %d of %s has begun; rhumb events -f -p %[2]s follows it", d.ID, d.Stack)
		return leave(a, d, words, rhumb.ExitConverged)
	}
	f := &follow.Follower{Server: s, View: v, Deployment: d, Stdin: a.Stdin, Timeout: opts.waitTimeout, Yes: opts.yes,
		By: terminal.UserAtHost()}
	d, err := takeInterrupts(ctx, a, f)
	if f.Asking() {
		v.Answered()
		if !a.JSON() {
			fmt.Fprintln(a.Stderr) // end the question's line
		}
	}
	v.Close()
	if errors.Is(err, follow.ErrDetached) {
		words := fmt.Sprintf("no longer followed: deployment %d of %s goes on "+
			"(rhumb ps -p %[2]s shows it, rhumb cancel -p %[2]s rolls it back)", d.ID, d.Stack)
		return leave(a, d, words, rhumb.ExitTimeout)
	}
	if err != nil {
		return err
	}
	return verdict(a, d)
}

// takeInterrupts passes interrupts to the follower while it follows.
func takeInterrupts(ctx context.Context, a *cli.App, f *follow.Follower) (rhumb.Deployment, error) {
	interrupts, give := a.Interrupts.Take()
	defer give()
	f.Interrupts = interrupts
	return f.Follow(ctx)
}

func unchanged(a *cli.App, d rhumb.Deployment) error {
	if a.JSON() {
		return view.Line(a.Stdout, map[string]any{"deployment": d})
	}
	if d.To == 0 {
		return &cli.Outcome{Words: "nothing changed: " + d.Verdict().Text}
	}
	return &cli.Outcome{Words: fmt.Sprintf("nothing changed: %s@%d serves", d.Stack, d.To)}
}

// leave ends the command while the deployment goes on.
func leave(a *cli.App, d rhumb.Deployment, words string, exit int) error {
	if a.JSON() {
		if err := view.Line(a.Stdout, map[string]any{"deployment": d}); err != nil {
			return err
		}
		words = ""
	}
	return &cli.Outcome{Exit: exit, Words: words}
}

// verdict prints the failure cards and returns the verdict as an outcome.
func verdict(a *cli.App, d rhumb.Deployment) error {
	v := d.Verdict()
	if !a.JSON() {
		return &cli.Outcome{Exit: v.Exit, Words: view.Verdict(a.Stderr, d)}
	}
	said := map[string]any{"exit": v.Exit, "text": v.Text}
	if err := view.Line(a.Stdout, map[string]any{"deployment": d, "verdict": said}); err != nil {
		return err
	}
	return &cli.Outcome{Exit: v.Exit}
}
