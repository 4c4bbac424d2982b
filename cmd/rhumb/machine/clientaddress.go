package machine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/server"
	"rhumb/cmd/rhumb/state"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
	"rhumb/install"
	"rhumb/proxy"
)

func clientAddressCommand(a *cli.App) *cobra.Command {
	conf := server.DefaultConfig()
	var cmd *cobra.Command
	cmd = a.Command("client-address [flags] [URL]", "Show which client addresses the proxy and the replicas see",
		cobra.MaximumNArgs(1), func(ctx context.Context, args []string) error {
			if err := completeConfig(&conf, install.Machine{}, cmd.Flags()); err != nil {
				return err
			}
			return a.With(func(c *client.Client) error {
				rs, err := c.Routes(ctx)
				if err != nil {
					return err
				}
				found := view.ClientAddresses{Ports: rs}
				if len(args) == 1 {
					if found.Asked, err = askForTestimony(ctx, conf, args[0]); err != nil {
						return err
					}
				}
				if a.JSON() {
					return view.JSON(a.Stdout, found)
				}
				view.ShowClientAddresses(a.Stdout, found)
				return nil
			})
		})
	cmd.Long = "Show for each published port whether its replicas see their clients' addresses, and why not. With the\n" +
		"URL of a route or an HTTP port, send a request from here and show which address the proxy saw, which\n" +
		"headers it believed and why, and what the replicas would learn. Run it on the server's machine, as root."
	cmd.Flags().StringVar(&conf.Data, "data", conf.Data, "use the proxy in this state `FOLDER`")
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cmd
}

// claimed is an address that no request from here has truly, sent to see whether it is believed.
const claimed = "192.0.2.66"

// askForTestimony sends two requests that only the proxy answers: a plain one, and one that claims another client.
func askForTestimony(ctx context.Context, conf server.Config, at string) ([]view.Asked, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, rhumb.Errorf(rhumb.Invalid, "%q is not the URL of a route or port", at).
			WithHint("write it as https://shop.example.com")
	}
	path, err := proxy.Testify(ctx, state.Folder(conf.Data).ProxySocket(), rand.Text())
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath, u.RawQuery = path, "", ""
	var asked []view.Asked
	for _, claim := range []string{"", claimed} {
		t, err := testimony(ctx, u.String(), claim)
		if err != nil {
			return nil, err
		}
		asked = append(asked, view.Asked{URL: at, Claim: claim, Testimony: view.Testimony(t)})
	}
	return asked, nil
}

// testimonyTime limits one request.
const testimonyTime = 15 * time.Second

// testimony sends one request.
func testimony(ctx context.Context, at, claim string) (t proxy.Testimony, err error) {
	ctx, cancel := context.WithTimeout(ctx, testimonyTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return t, err
	}
	if claim != "" {
		req.Header.Set("X-Forwarded-For", claim)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		return t, rhumb.Errorf(rhumb.Unavailable, "the URL can't be reached from here: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(b, &t)
	} else if err == nil {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err != nil {
		return t, rhumb.Errorf(rhumb.Unavailable, "this server's proxy didn't answer the request: %w", err).
			WithHint("does the URL reach this machine, and does nothing in front of it answer instead?")
	}
	return t, nil
}
