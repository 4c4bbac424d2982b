package view

import (
	"fmt"
	"io"
	"slices"
	"time"

	"rhumb"
)

// Why prints an explanation: the causes with their evidence, then what else happened.
func Why(w io.Writer, of string, x rhumb.Explanation) {
	p, layout := paintOn(w), time.TimeOnly
	if time.Since(x.Since) > 20*time.Hour || x.Until.Sub(x.Since) > 20*time.Hour {
		layout = time.DateTime
	}
	at := func(t time.Time) string { return t.Local().Format(layout) }
	if len(x.Causes) == 0 {
		fmt.Fprintf(w, "%s: %s between %s and %s\n", of, p.green("nothing unusual"), at(x.Since), at(x.Until))
	}
	for i, c := range x.Causes {
		lead := "most likely"
		if i > 0 {
			lead = "or"
		}
		fmt.Fprintf(w, "%s %s %s\n", p.bold(lead+":"), p.dim(at(c.At)), OneLine(c.Text))
		for _, e := range c.Evidence {
			fmt.Fprintf(w, "    %s %s\n", p.dim(at(e.At)), OneLine(e.Text))
		}
	}
	alsoHappened(w, p, x, at)
	for _, m := range x.Missing {
		fmt.Fprintf(w, "%s %s\n", p.yellow("not read:"), OneLine(m))
	}
}

// maxHappened is how many lines of what else happened are shown: the last ones.
const maxHappened = 20

// alsoHappened prints what happened beside the causes.
func alsoHappened(w io.Writer, p paint, x rhumb.Explanation, at func(time.Time) string) {
	var others []rhumb.Happening
	for _, h := range x.Happened {
		if !slices.ContainsFunc(x.Causes, func(c rhumb.WhyCause) bool {
			return c.Kind == h.Kind && c.At.Equal(h.At) && c.Stack == h.Stack && c.Service == h.Service && c.Text == h.Text
		}) {
			others = append(others, h)
		}
	}
	if len(others) == 0 {
		return
	}
	if len(x.Causes) > 0 {
		fmt.Fprintln(w, "\nalso happened:")
	} else {
		fmt.Fprintln(w, "\nhappened:")
	}
	if n := len(others) - maxHappened; n > 0 {
		fmt.Fprintf(w, "    %s\n", p.dim(fmt.Sprintf("%d earlier ones", n)))
		others = others[n:]
	}
	for _, h := range others {
		fmt.Fprintf(w, "    %s %s\n", p.dim(at(h.At)), OneLine(h.Text))
	}
}
