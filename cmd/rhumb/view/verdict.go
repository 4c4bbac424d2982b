package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// Verdict prints the failure cards of a deployment and returns its verdict in words, on a terminal with a sign before
// it.
func Verdict(w io.Writer, d rhumb.Deployment) string {
	v, p := d.Verdict(), paintOn(w)
	cards := alikes(slices.DeleteFunc(slices.Clone(d.Failures), func(f rhumb.Failure) bool {
		return d.Phase == rhumb.PhaseConverged && f.Ended // it was restarted and serves; the verdict mentions it
	}))
	for _, alike := range cards {
		card(w, p, d.Stack, alike)
	}
	if len(cards) > 0 {
		fmt.Fprintln(w)
	}
	took := ""
	if d.Phase.Ended() && p.on {
		took = p.dim("  " + seconds(d.Ended.Sub(d.Started)))
	}
	return mark(p, v.Exit) + v.Text + took
}

// alikes groups failures of one service with the same reason. The first of a group represents it.
func alikes(failures []rhumb.Failure) [][]rhumb.Failure {
	var groups [][]rhumb.Failure
	for _, f := range failures {
		i := slices.IndexFunc(groups, func(g []rhumb.Failure) bool {
			return g[0].Service == f.Service && g[0].ExitCode == f.ExitCode && untimed(g[0].Reason) == untimed(f.Reason)
		})
		if i < 0 {
			groups = append(groups, []rhumb.Failure{f})
			continue
		}
		groups[i] = append(groups[i], f)
	}
	return groups
}

// untimed returns a reason without its duration: "exited with 1 after 1.2s" becomes "exited with 1".
func untimed(reason string) string {
	i := strings.LastIndex(reason, " after ")
	if i < 0 {
		return reason
	}
	if _, err := time.ParseDuration(reason[i+len(" after "):]); err != nil {
		return reason
	}
	return reason[:i]
}

// mark returns the sign before a verdict, on a terminal.
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
