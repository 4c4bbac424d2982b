package look

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/cmd/rhumb/view"
	"rhumb/httpapi/client"
)

func bansCommand(a *cli.App) *cobra.Command {
	cmd := listCommand(a, "bans [flags]", "Show which clients are banned", (*client.Client).Bans, view.Bans)
	cmd.Long = "Show which clients the proxy refuses, until when and why. A ban is for everything that the\n" +
		"server serves. Rules of bans are in the Compose file: x-rhumb.bans."
	cmd.AddCommand(listCommand(a, "ls [flags]", "Show which clients are banned", (*client.Client).Bans, view.Bans),
		banCommand(a), unbanCommand(a), whyBannedCommand(a))
	return cmd
}

func banCommand(a *cli.App) *cobra.Command {
	var o rhumb.BanOrder
	var span string
	cmd := a.Query("add ADDRESS [flags]", "Ban a client, or all in a range", cobra.ExactArgs(1),
		func(ctx context.Context, c *client.Client, args []string) (err error) {
			if o.Client, err = rhumb.ParseClient(args[0]); err != nil {
				return err
			}
			if span != "" {
				if o.For, err = spanOf(span); err != nil {
					return err
				}
			}
			o.By = terminal.UserAtHost()
			ban, err := c.Ban(ctx, o)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, ban)
			}
			fmt.Fprintln(a.Stdout, view.BanOf(ban, time.Now()))
			return nil
		})
	cmd.Long = "Ban a client in place of the ban that it may have. ADDRESS is an address or a range (203.0.113.0/24).\n" +
		"Of an IPv6 address, its network of 64 bits is banned."
	fs := cmd.Flags()
	fs.StringVar(&span, "for", "", "for this `TIME`, such as 2h or 3d; without it, until the ban is removed")
	fs.StringVar(&o.Reason, "why", "", "record this `TEXT` with the ban")
	fs.BoolVar(&o.Private, "private", false, "also ban an address in a private network, which may stand for many clients")
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func unbanCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("rm ADDRESS|REFERENCE [flags]", "End a ban, or all in a range", cobra.ExactArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error {
			p, err := clientOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			ended, err := c.Unban(ctx, p)
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, view.List(ended))
			}
			for _, b := range ended {
				fmt.Fprintf(a.Stdout, "%s is no longer banned\n", rhumb.ClientText(b.Client))
			}
			return nil
		})
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cli.CompleteWith(a, cmd, bannedClients)
}

func whyBannedCommand(a *cli.App) *cobra.Command {
	cmd := a.Query("why ADDRESS|REFERENCE [flags]", "Show why a client is banned, or why it isn't", cobra.ExactArgs(1),
		func(ctx context.Context, c *client.Client, args []string) error {
			p, err := clientOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			answer, err := c.WhyBanned(ctx, p.Addr())
			if err != nil {
				return err
			}
			if a.JSON() {
				return view.JSON(a.Stdout, answer)
			}
			view.BanAnswer(a.Stdout, answer, time.Now())
			return nil
		})
	cmd.Long = "Show why a client is banned, or why it isn't: what it has matched of late, and whether it is\n" +
		"never banned. REFERENCE is what the page of a banned visitor shows."
	a.HostFlag(cmd)
	a.FormatFlag(cmd)
	return cli.CompleteWith(a, cmd, bannedClients)
}

// clientOf returns the client of an address, a range, or the reference of a ban.
func clientOf(ctx context.Context, c *client.Client, word string) (netip.Prefix, error) {
	p, err := rhumb.ParseClient(word)
	if err == nil || strings.ContainsAny(word, ".:/") {
		return p, err
	}
	list, err := c.Bans(ctx)
	if err != nil {
		return p, err
	}
	for _, b := range list {
		if strings.EqualFold(b.Reference, word) {
			return b.Client, nil
		}
	}
	return p, rhumb.Errorf(rhumb.NotFound, "no ban has the reference %q", word).
		WithHint("it may have ended; rhumb bans lists those that haven't")
}

// bannedClients returns the banned clients with the reasons, for completion.
func bannedClients(ctx context.Context, c *client.Client) (words []string, err error) {
	list, err := c.Bans(ctx)
	for _, b := range list[:min(len(list), maxCompletions)] {
		words = append(words, rhumb.ClientText(b.Client)+"\t"+b.Reason)
	}
	return words, err
}

const maxCompletions = 100
