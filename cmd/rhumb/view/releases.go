package view

import (
	"fmt"
	"io"

	"rhumb"
)

// Releases prints a table of releases. The release that serves is green.
func Releases(w io.Writer, rs []rhumb.ReleaseInfo) {
	t := newTable(paintOn(w), "RELEASE", "STATE", "CAUSE", "WHEN", "BY", "GIT", "NOTE")
	for _, r := range rs {
		row := plain(fmt.Sprintf("%s@%d", r.Stack, r.Number), releaseState(r), string(r.Cause), ago(r.At), r.By,
			short(r.Git), r.Note)
		if r.Current {
			row[0].code, row[1].code = "32", "32"
		}
		t.add(row...)
	}
	t.print(w)
}

// Release describes a release in a few words: "served, 2h ago 1f3c9a2".
func Release(r rhumb.ReleaseInfo) string {
	return releaseState(r) + ", " + ago(r.At) + " " + short(r.Git)
}

func releaseState(r rhumb.ReleaseInfo) string {
	switch {
	case r.Current:
		return "serves"
	case r.Served:
		return "served"
	}
	return "never served"
}

// short returns an abbreviated revision: "1f3c9a2-dirty".
func short(g rhumb.Git) string {
	s := g.Commit[:min(len(g.Commit), 7)]
	if g.Dirty {
		s += "-dirty"
	}
	return s
}
