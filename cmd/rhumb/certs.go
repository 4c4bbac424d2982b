package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func (a *app) certsCommand() *cobra.Command {
	cmd := a.command("certs [flags]", "Show the certificates of hosts served over TLS", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			list, err := c.Certificates(ctx)
			if err != nil {
				return err
			}
			if a.o.json() {
				return view.JSON(a.stdout, list)
			}
			view.Certificates(a.stdout, list)
			return nil
		})
	})
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

func (a *app) caCommand() *cobra.Command {
	cmd := a.command("ca [flags]", "Print the root certificate of the server's internal authority", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			pem, err := c.RootCertificate(ctx)
			if err == nil {
				fmt.Fprint(a.rawOut, pem)
			}
			return err
		})
	})
	cmd.Long = "Print the root certificate of the server's internal authority in PEM. Clients that trust it also trust the certificates\n" +
		"that the server issues for hosts that aren't public."
	a.hostFlag(cmd)
	return cmd
}
