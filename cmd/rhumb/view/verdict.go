package view

import (
	"fmt"
	"io"

	"rhumb"
)

// Verdict prints the failure cards of a deployment, and gives its verdict in words, with a sign before it on a terminal.
func Verdict(w io.Writer, d rhumb.Deployment) string {
	v, p := d.Verdict(), paintOn(w)
	cards := 0
	for _, f := range d.Failures {
		if d.Phase == rhumb.PhaseConverged && f.Ended {
			continue // it was started again, and is there now; the verdict tells of it
		}
		card(w, p, d.Stack, f)
		cards++
	}
	if cards > 0 {
		fmt.Fprintln(w)
	}
	took := ""
	if d.Phase.Ended() && p.on {
		took = p.dim("  " + seconds(d.Ended.Sub(d.Started)))
	}
	return mark(p, v.Exit) + v.Text + took
}

// mark is the sign before a verdict, on a terminal.
func mark(p paint, exit int) string {
	switch {
	case !p.on:
		return ""
	case exit == rhumb.ExitConverged:
		return p.green("✔ ")
	case exit == rhumb.ExitTimeout, exit == rhumb.ExitPaused:
		return p.yellow("! ")
	}
	return p.red("✘ ")
}
