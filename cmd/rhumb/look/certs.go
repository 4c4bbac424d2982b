package look

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func certsCommand(a *cli.App) *cobra.Command {
	return listCommand(a, "certs [flags]", "Show the certificates of hosts served over TLS",
		(*client.Client).Certificates, view.Certificates)
}

func caCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("ca [flags]", "Print the root certificate of the server's internal authority", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			pem, err := c.RootCertificate(ctx)
			if err == nil {
				fmt.Fprint(a.RawOut, pem)
			}
			return err
		})
	cmd.Long = "Print the root certificate of the server's internal authority in PEM. Clients that trust it also\n" +
		"trust the certificates that the server issues for hosts that aren't public."
	a.HostFlag(cmd)
	return cmd
}
