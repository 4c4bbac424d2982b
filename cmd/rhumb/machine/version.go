package machine

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
	"rhumb/sqlite"
)

func versionCommand(a *cli.App) *cobra.Command {
	var onlyClient bool
	cmd := a.Command("version [flags]", "Show the versions of the client, the server and the engine", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			var info *rhumb.ServerInfo
			err := a.With(func(c *client.Client) error {
				if onlyClient {
					return nil
				}
				i, err := c.Info(ctx)
				if err == nil {
					info = &i
				}
				return err
			})
			if a.JSON() {
				out := map[string]any{"client": a.Version, "schema": sqlite.Schema(), "server": info}
				if printErr := view.JSON(a.Stdout, out); printErr != nil {
					return printErr
				}
				return err
			}
			fmt.Fprintf(a.Stdout, "client  rhumb %s, %s, %s/%s\n", a.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if info != nil {
				e := info.Engine
				fmt.Fprintf(a.Stdout, "server  rhumb %s, up for %s, data in %s\n",
					info.Version, rhumb.Span(time.Since(info.Started)), info.Data)
				fmt.Fprintf(a.Stdout, "engine  %s %s, API %s, %s/%s, %d CPUs, %s\n",
					e.Name, e.Version, e.APIVersion, e.OS, e.Arch, e.CPUs, view.Bytes(e.Memory))
				fmt.Fprintf(a.Stdout, "proxy   %s\n", map[bool]string{true: "answers", false: "does not answer"}[info.Proxy])
			}
			return err
		})
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	cmd.Flags().BoolVar(&onlyClient, "client", false, "print only the client's version")
	return cmd
}
