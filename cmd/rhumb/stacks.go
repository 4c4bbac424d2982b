package main

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

// with calls do with a client and closes the client afterwards.
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
				return view.JSON(a.stdout, view.List(stacks))
			}
			view.Stacks(a.stdout, stacks)
			return nil
		})
	})
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}
