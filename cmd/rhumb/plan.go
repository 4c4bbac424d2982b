package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
)

func (a *app) planCommand() *cobra.Command {
	var detailed bool
	cmd := a.command("plan [flags]", "Tell what a deploy would do, step by step", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		p, err := a.load(ctx)
		if err != nil {
			return err
		}
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		v := a.newView(subjectOf(p.Stack))
		if len(p.Builds) == 0 {
			v = silent{}
		}
		r, err := a.request(ctx, c, p, v)
		v.close()
		if err != nil {
			return err
		}
		plan, err := c.Plan(ctx, r)
		if err != nil {
			return err
		}
		if err := a.printPlan(plan); err != nil {
			return err
		}
		if detailed && !plan.Empty() {
			return &outcome{exit: 2}
		}
		return nil
	})
	cmd.Long = "Tell what a deploy would do, step by step, and change nothing.\n" +
		"Images with a build: are built, because only then it is known whether they changed; images are not pulled."
	a.projectFlags(cmd)
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 when there are changes")
	return cmd
}

// silent shows nothing.
type silent struct{}

func (silent) build(rhumb.BuildProgress) {}
func (silent) event(rhumb.Event)         {}
func (silent) say(string)                {}
func (silent) ask(string)                {}
func (silent) answered()                 {}
func (silent) tick()                     {}
func (silent) close()                    {}

func (a *app) printPlan(plan rhumb.Plan) error {
	if a.o.json() {
		return printJSON(a.stdout, plan)
	}
	p := a.paint(a.stdout)
	if plan.Empty() {
		fmt.Fprintf(a.stdout, "nothing would change: %s@%d serves\n", plan.Stack, plan.From)
	} else {
		fmt.Fprintln(a.stdout, p.bold(planHead(plan)))
		a.printChanges(p, plan.Changes)
		fmt.Fprintln(a.stdout, p.bold("steps"))
		for i, s := range plan.Steps {
			fmt.Fprintf(a.stdout, "  %*d  %s\n", len(fmt.Sprint(len(plan.Steps))), i+1, s)
		}
	}
	if len(plan.Notes) > 0 {
		fmt.Fprintln(a.stdout, p.bold("notes"))
	}
	for _, n := range plan.Notes {
		at := ""
		if n.At != "" {
			at = n.At + ": "
		}
		fmt.Fprintf(a.stdout, "  %s%s\n", p.dim(at), n)
	}
	return nil
}

func planHead(plan rhumb.Plan) string {
	from, to := "nothing", "nothing"
	if plan.From != 0 {
		from = fmt.Sprintf("%s@%d", plan.Stack, plan.From)
	}
	if plan.To != 0 {
		to = fmt.Sprintf("%s@%d", plan.Stack, plan.To)
	}
	return from + " to " + to
}

func (a *app) printChanges(p paint, changes []rhumb.Difference) {
	for _, c := range changes {
		name := c.Service
		if name == "" {
			name = "the stack"
		}
		sign := map[string]string{"added": p.green("+"), "removed": p.red("-"), "changed": p.yellow("~")}[c.Verb]
		line := fmt.Sprintf("  %s %s %s", sign, name, c.Verb)
		if len(c.What) > 0 {
			line += ": " + strings.Join(c.What, ", ")
		}
		if c.Order == rhumb.StopFirst {
			line += p.dim(" (stop-first" + because(c.Why) + ")")
		}
		fmt.Fprintln(a.stdout, line)
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
