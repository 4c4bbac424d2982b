package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/httpapi/client"
)

// with gives do a client, and closes it afterwards.
func (a *app) with(do func(*client.Client) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

func (a *app) stacksCommand() *cobra.Command {
	cmd := a.command("stacks [flags]", "List the stacks", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			stacks, err := c.Stacks(ctx)
			if err != nil {
				return err
			}
			if a.o.json() {
				return printJSON(a.stdout, list(stacks))
			}
			p := a.paint(a.stdout)
			t := newTable(p, "STACK", "RELEASE", "SERVICES", "READY", "DEPLOYMENT")
			for _, s := range stacks {
				t.add(stackRow(s)...)
			}
			t.print(a.stdout)
			return nil
		})
	})
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
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

// number prints a release's number; "-" if there is none.
func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
