package look

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
)

func configCommand(a *cli.App) *cobra.Command {
	var services, quiet bool
	cmd := a.Command("config [flags]", "Print the merged and resolved Compose model", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			p, err := a.Load(ctx)
			switch {
			case err != nil:
				return err
			case quiet:
				return nil
			case services:
				for _, s := range p.Stack.Services {
					fmt.Fprintln(a.Stdout, s.Name)
				}
				return nil
			case a.JSON():
				var model map[string]any
				if err := yaml.Unmarshal(p.Resolved, &model); err != nil {
					return err
				}
				return view.JSON(a.Stdout, model)
			}
			_, err = a.RawOut.Write(p.Resolved)
			return err
		})
	a.ProjectFlags(cmd)
	a.Formats(cmd, "yaml", "json")
	cmd.Flags().BoolVar(&services, "services", false, "print only the names of the services")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing; the exit status reports whether the files are valid")
	return cmd
}
