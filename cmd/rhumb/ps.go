package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/httpapi/client"
)

func (a *app) psCommand() *cobra.Command {
	var all bool
	cmd := a.command("ps [SERVICE...] [flags]", "List a stack's replicas", cobra.ArbitraryArgs, func(ctx context.Context, args []string) error {
		return a.with(func(c *client.Client) error {
			stacks, err := a.psStacks(ctx, c, all)
			if err != nil {
				return err
			}
			for i := range stacks {
				if stacks[i].Services, err = only(stacks[i], args, all); err != nil {
					return err
				}
			}
			switch {
			case a.o.json() && all:
				return printJSON(a.stdout, list(stacks))
			case a.o.json():
				return printJSON(a.stdout, stacks[0])
			}
			a.printReplicas(stacks, all)
			return nil
		})
	})
	a.completeServices(a.looking(cmd), 0, "")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "of all stacks")
	return cmd
}

func (a *app) psStacks(ctx context.Context, c *client.Client, all bool) ([]rhumb.StackInfo, error) {
	if !all {
		name, err := a.stack(ctx, c)
		if err != nil {
			return nil, err
		}
		st, err := c.Status(ctx, name)
		return []rhumb.StackInfo{st}, err
	}
	stacks, err := c.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	for i := range stacks {
		if stacks[i], err = c.Status(ctx, stacks[i].Name); err != nil {
			return nil, err
		}
	}
	return stacks, nil
}

// only keeps the services that are named; all, if none is.
func only(st rhumb.StackInfo, names []string, lenient bool) ([]rhumb.ServiceStatus, error) {
	if len(names) == 0 {
		return st.Services, nil
	}
	var kept []rhumb.ServiceStatus
	for _, n := range names {
		found := false
		for _, s := range st.Services {
			if s.Name == n {
				kept, found = append(kept, s), true
			}
		}
		if !found && !lenient {
			return nil, rhumb.Errorf(rhumb.NotFound, "%s has no service %q", st.Name, n)
		}
	}
	return kept, nil
}

func (a *app) printReplicas(stacks []rhumb.StackInfo, all bool) {
	p := a.paint(a.stdout)
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
	t.print(a.stdout)
	for _, st := range stacks {
		if d := st.Deployment; d != nil && !d.Phase.Ended() {
			v := d.Verdict()
			fmt.Fprintf(a.stdout, "\n%s (deployment %d, by %s, began %s)\n", p.yellow(v.Text), d.ID, d.By, ago(d.Started))
		}
	}
}

func serviceRows(svc rhumb.ServiceStatus) [][]cell {
	image, ports := shortImage(svc.Image), strings.Join(svc.Address, ", ")
	var rows [][]cell
	for _, r := range svc.Slots {
		row := plain(svc.Name, r.Name, number(r.Release), image, r.Status, ports)
		row[4].code = statusColour(r)
		if r.Routed == "draining" {
			row[4].text += fmt.Sprintf(", draining (%d open)", r.Open)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
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

// shortImage shortens an image that is named by its ID, as "docker ps" does.
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
