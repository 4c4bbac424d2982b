package view

import (
	"fmt"
	"io"
	"strings"

	"rhumb"
)

// Plan prints the changes, steps and notes of a plan.
func Plan(w io.Writer, plan rhumb.Plan) {
	p := paintOn(w)
	if plan.Empty() {
		fmt.Fprintf(w, "nothing would change: %s@%d serves\n", plan.Stack, plan.From)
	} else {
		fmt.Fprintln(w, p.bold(planHead(plan)))
		Changes(w, plan.Changes)
		fmt.Fprintln(w, p.bold("steps"))
		for i, s := range plan.Steps {
			fmt.Fprintf(w, "  %*d  %s\n", len(fmt.Sprint(len(plan.Steps))), i+1, s)
		}
		if len(plan.Steps) == 0 {
			fmt.Fprintln(w, "  none: the change replaces no replica")
		}
	}
	if len(plan.Notes) > 0 {
		fmt.Fprintln(w, p.bold("notes"))
	}
	for _, n := range plan.Notes {
		at := ""
		if n.At != "" {
			at = n.At + ": "
		}
		fmt.Fprintf(w, "  %s%s\n", p.dim(at), n)
	}
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

// Changes prints the differences between two releases.
func Changes(w io.Writer, changes []rhumb.Difference) {
	p := paintOn(w)
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
		fmt.Fprintln(w, line)
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
