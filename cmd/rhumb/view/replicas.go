package view

import (
	"fmt"
	"io"
	"strings"

	"rhumb"
)

// Replicas prints a table of the replicas of stacks, waiting requests, and open deployments. With all it includes the
// stacks' names.
func Replicas(w io.Writer, stacks []rhumb.StackInfo, all bool) {
	p := paintOn(w)
	heads := []string{"SERVICE", "REPLICA", "RELEASE", "IMAGE", "STATUS", "PORTS"}
	if all {
		heads = append([]string{"STACK"}, heads...)
	}
	t := newTable(p, heads...)
	for _, st := range stacks {
		for _, svc := range st.Services {
			for _, row := range serviceRows(svc) {
				if all {
					row = append(plain(st.Name), row...)
				}
				t.add(row...)
			}
		}
	}
	t.print(w)
	printHolds(w, p, stacks)
	for _, st := range stacks {
		if d := st.Deployment; d != nil && !d.Phase.Ended() {
			v := d.Verdict()
			fmt.Fprintf(w, "\n%s (deployment %d, by %s, began %s)\n", p.yellow(v.Text), d.ID, d.By, ago(d.Started))
		}
	}
}

// printHolds prints for which services requests wait in the proxy.
func printHolds(w io.Writer, p paint, stacks []rhumb.StackInfo) {
	for _, st := range stacks {
		for _, svc := range st.Services {
			if words := holdWords(svc.Waiting, svc.Waited); words != "" {
				fmt.Fprintf(w, "\n%s\n", p.yellow(st.Name+"/"+svc.Name+": "+words))
			}
		}
	}
}

func serviceRows(svc rhumb.ServiceStatus) [][]cell {
	image, ports := shortImage(svc.Image), strings.Join(svc.Address, ", ")
	var rows [][]cell
	for _, r := range svc.Slots {
		row := plain(svc.Name, r.Name, number(r.Release), image, r.Status, ports)
		row[4].code = statusColour(r)
		rows = append(rows, row)
	}
	switch {
	case len(rows) > 0:
	case svc.Job:
		rows = append(rows, plain(svc.Name, "-", "-", image, "runs in deployments", ports))
	default:
		rows = append(rows, plain(svc.Name, "-", "-", image, fmt.Sprintf("no replica (%d wanted)", svc.Replicas), ports))
	}
	return rows
}

func statusColour(r rhumb.ReplicaStatus) string {
	switch {
	case r.Ready:
		return "32"
	case r.Alive(), r.State == rhumb.StateExited && r.ExitCode == 0:
		return "33"
	}
	return "31"
}

// shortImage shortens an image ID or digest, as "docker ps" does.
func shortImage(ref string) string {
	if id, ok := strings.CutPrefix(ref, "sha256:"); ok {
		return id[:min(len(id), 12)]
	}
	name, digest, ok := strings.Cut(ref, "@sha256:")
	if ok {
		return name + "@" + digest[:min(len(digest), 12)]
	}
	return ref
}
