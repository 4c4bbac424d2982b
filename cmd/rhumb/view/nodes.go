package view

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"rhumb"
)

// Nodes prints how full the machine is, and what runs on it. usage has what replicas use, by name.
func Nodes(w io.Writer, m Machine, stacks []rhumb.StackInfo, usage map[string]Usage) {
	p, e := paintOn(w), m.Info.Engine
	up := ""
	if m.Boot != nil {
		up = ", started " + ago(time.Unix(int64(*m.Boot), 0))
	}
	fmt.Fprintf(w, "%s   %s %s, %s/%s%s\n", p.bold("node"), OneLine(e.Name), OneLine(e.Version), OneLine(e.OS),
		OneLine(e.Arch), up)
	t := newTable(p)
	t.rows = nil
	load := ""
	if m.Load != nil {
		load = ", load " + digits(*m.Load)
	}
	t.add(gauge("CPU", m.Busy, fmt.Sprintf("of %d CPUs%s", e.CPUs, load))...)
	t.add(gauge("memory", m.Memory, "of "+Bytes(e.Memory))...)
	for _, d := range m.Disks {
		taken := 0.0
		if d.Size > 0 {
			taken = 1 - d.Left/d.Size
		}
		t.add(gauge("disk "+d.Path, &taken, fmt.Sprintf("of %s, %s left", Bytes(int64(d.Size)), Bytes(int64(d.Left))))...)
	}
	t.print(w)
	fmt.Fprintln(w)
	nodeTable(p, stacks, usage).print(w)
}

// gauge returns a row with a bar. The share is nil if it isn't known.
func gauge(name string, share *float64, words string) []cell {
	if share == nil {
		return plain("  "+name, "", "-", words)
	}
	row := plain("  "+name, bar(*share, 24), percent(*share), words)
	row[1].code = fullness(*share)
	if row[1].code == "" {
		row[1].code = "32"
	}
	return row
}

// bar draws a share of the width.
func bar(share float64, width int) string {
	full, empty := "#", "."
	if wideLetters() {
		full, empty = "█", "░"
	}
	n := min(max(int(math.Round(share*float64(width))), 0), width)
	return strings.Repeat(full, n) + strings.Repeat(empty, width-n)
}

// nodeTable returns a table of the replicas on the node.
func nodeTable(p paint, stacks []rhumb.StackInfo, usage map[string]Usage) *table {
	t := newTable(p, "STACK", "REPLICA", "RELEASE", "STATE", "CPU", "MEMORY", "SINCE")
	for _, st := range stacks {
		for _, svc := range st.Services {
			for _, r := range svc.Slots {
				u := usage[r.Name]
				row := plain(st.Name, r.Name, number(r.Release), nodeState(r), figure(u.CPU, percent),
					figure(u.Memory, unitBytes.format), ago(r.Started))
				row[3].code, row[5].code = statusColour(r), fullness(u.share())
				t.add(row...)
			}
			if len(svc.Slots) == 0 {
				t.add(plain(st.Name, svc.Name, "-", absence(svc), "-", "-", "")...)
			}
		}
	}
	return t
}

// nodeState returns a replica's state, without for how long: that is a column.
func nodeState(r rhumb.ReplicaStatus) string {
	state, _, _ := strings.Cut(r.Status, " for ")
	return state
}

// absence returns why a service has no replica.
func absence(svc rhumb.ServiceStatus) string {
	switch {
	case svc.Job:
		return "completed"
	case svc.Replicas == 0:
		return "none wanted"
	}
	return fmt.Sprintf("no replica (%d wanted)", svc.Replicas)
}
