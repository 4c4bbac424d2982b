package machine

import (
	"context"

	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/proxyd"
)

// InspectorCommand is the process that the proxy starts to look at requests for attacks.
func InspectorCommand(a *cli.App) *cobra.Command {
	cmd := a.Command(proxyd.InspectorName, "Look at the requests of the proxy for attacks", cobra.NoArgs,
		func(ctx context.Context, _ []string) error { return proxyd.RunInspector(ctx) })
	cmd.Hidden = true
	return cmd
}
