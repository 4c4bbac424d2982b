package view

import (
	"fmt"
	"io"
	"strconv"

	"rhumb"
)

// Stacks prints a table of stacks.
func Stacks(w io.Writer, stacks []rhumb.StackInfo) {
	t := newTable(paintOn(w), "STACK", "RELEASE", "SERVICES", "READY", "DEPLOYMENT")
	for _, s := range stacks {
		t.add(stackRow(s)...)
	}
	t.print(w)
}

func stackRow(s rhumb.StackInfo) []cell {
	ready, want := 0, 0
	for _, svc := range s.Services {
		if !svc.Job {
			ready, want = ready+svc.Ready, want+svc.Replicas
		}
	}
	colour := "32"
	if ready < want {
		colour = "31"
	}
	row := plain(s.Name, number(s.Release), strconv.Itoa(len(s.Services)), fmt.Sprintf("%d/%d", ready, want), "")
	row[3].code = colour
	if d := s.Deployment; d != nil {
		row[4].text = string(d.Phase)
		if d.Phase.Ended() {
			row[4].text += " " + ago(d.Ended)
		}
	}
	return row
}

// number returns a release's number as text; "-" for 0.
func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
