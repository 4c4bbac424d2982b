package look

import (
	"github.com/spf13/cobra"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func stacksCommand(a *cli.App) *cobra.Command {
	return listCommand(a, "stacks [flags]", "List the stacks", (*client.Client).Stacks, view.Stacks)
}
