package look

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func dashboardCommand(a *cli.App) *cobra.Command {
	var printOnly, open bool
	cmd := a.Query("dashboard [flags]", "Print the link to the dashboard; from afar, reach it through ssh", cobra.NoArgs,
		func(ctx context.Context, c *client.Client, _ []string) error {
			d, err := c.DashboardLink(ctx)
			if err != nil {
				return err
			}
			addr := dialable(d.Addr)
			if printOnly || !strings.HasPrefix(a.Server(), "ssh://") {
				return showLink(a, addr, d.Key, open)
			}
			var failed error
			err = client.Forward(ctx, a.Server(), addr, func(local string) {
				failed = showLink(a, local, d.Key, open)
				fmt.Fprintln(a.Stderr, "connections go through ssh until Ctrl-C")
			})
			if ctx.Err() != nil && failed == nil {
				return &cli.Outcome{} // its user has left
			}
			if failed != nil {
				return failed
			}
			return err
		})
	cmd.Long = "Print the link to the dashboard. Its key lets everyone in who has it. If the server is reached\n" +
		"through ssh, so is its dashboard: at a local port, until Ctrl-C."
	cmd.Flags().BoolVar(&printOnly, "print", false, "only print the link as the server's own machine has it")
	cmd.Flags().BoolVar(&open, "open", false, "open the link in a browser")
	a.HostFlag(cmd)
	a.Formats(cmd, "text", "json")
	return cmd
}

// dialable returns an address with which a listener can be reached on its own machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// showLink prints the link, and opens it.
func showLink(a *cli.App, addr, key string, open bool) error {
	link := url.URL{Scheme: "http", Host: addr, Path: "/", RawQuery: url.Values{"key": {key}}.Encode()}
	if a.JSON() {
		if err := view.JSON(a.Stdout, map[string]string{"URL": link.String()}); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.Stdout, link.String())
	}
	if !open {
		return nil
	}
	browser := exec.Command("xdg-open", link.String())
	if err := browser.Start(); err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "no browser could be opened: %w", err).WithHint("open the link by hand")
	}
	return browser.Process.Release() // it outlives this command
}
