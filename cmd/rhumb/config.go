package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"rhumb/cmd/rhumb/view"
)

func (a *app) configCommand() *cobra.Command {
	var services, quiet bool
	cmd := a.command("config [flags]", "Print the merged and resolved Compose model", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		p, err := a.load(ctx)
		switch {
		case err != nil:
			return err
		case quiet:
			return nil
		case services:
			for _, s := range p.Stack.Services {
				fmt.Fprintln(a.stdout, s.Name)
			}
			return nil
		case a.o.json():
			var model map[string]any
			if err := yaml.Unmarshal(p.Resolved, &model); err != nil {
				return err
			}
			return view.JSON(a.stdout, model)
		}
		_, err = a.rawOut.Write(p.Resolved)
		return err
	})
	a.projectFlags(cmd)
	a.formats(cmd, "yaml", "json")
	cmd.Flags().BoolVar(&services, "services", false, "print only the names of the services")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing; the exit status reports whether the files are valid")
	return cmd
}
