package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
	"rhumb/sqlite"
)

func (a *app) versionCommand() *cobra.Command {
	var onlyClient bool
	cmd := a.command("version [flags]", "Show the versions of the client, the server and the engine", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		var info *rhumb.ServerInfo
		err := a.with(func(c *client.Client) error {
			if onlyClient {
				return nil
			}
			i, err := c.Info(ctx)
			if err == nil {
				info = &i
			}
			return err
		})
		if a.o.json() {
			out := map[string]any{"client": version, "schema": sqlite.Schema(), "server": info}
			if printErr := view.JSON(a.stdout, out); printErr != nil {
				return printErr
			}
			return err
		}
		fmt.Fprintf(a.stdout, "client  rhumb %s, %s, %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		if info != nil {
			fmt.Fprintf(a.stdout, "server  rhumb %s, up for %s, data in %s\n", info.Version, rhumb.Span(time.Since(info.Started)), info.Data)
			fmt.Fprintf(a.stdout, "engine  %s %s, API %s, %s/%s, %d CPUs, %s\n", info.Engine.Name, info.Engine.Version, info.Engine.APIVersion,
				info.Engine.OS, info.Engine.Arch, info.Engine.CPUs, view.Bytes(info.Engine.Memory))
			fmt.Fprintf(a.stdout, "proxy   %s\n", map[bool]string{true: "answers", false: "does not answer"}[info.Proxy])
		}
		return err
	})
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	cmd.Flags().BoolVar(&onlyClient, "client", false, "print only the client's version")
	return cmd
}
