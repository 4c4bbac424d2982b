package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/httpapi/client"
)

func (a *app) certsCommand() *cobra.Command {
	cmd := a.command("certs [flags]", "Show the certificates of the hosts that are served over TLS", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			list, err := c.Certificates(ctx)
			if err != nil {
				return err
			}
			if a.o.json() {
				return printJSON(a.stdout, list)
			}
			t := newTable(a.paint(a.stdout), "HOST", "STACK", "SOURCE", "ISSUER", "VALID UNTIL", "STATE")
			for _, s := range list {
				t.add(certRow(s, time.Now())...)
			}
			t.print(a.stdout)
			return nil
		})
	})
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

func certRow(s rhumb.CertificateStatus, now time.Time) []cell {
	until := "-"
	if !s.NotAfter.IsZero() {
		until = s.NotAfter.Local().Format(time.DateOnly)
	}
	issuer := s.Issuer
	if issuer == "" {
		issuer = "-"
	}
	text, code := certState(s, now)
	row := plain(s.Host, s.Stack, string(s.Source), issuer, until, text)
	row[5].code = code
	return row
}

// certState says how a certificate stands, and in which colour.
func certState(s rhumb.CertificateStatus, now time.Time) (text, code string) {
	next := ""
	if s.Next.After(now) {
		next = ", again in " + span(s.Next.Sub(now))
	}
	switch {
	case s.Issuer == "" && s.Error == "":
		return "being obtained", ""
	case s.Issuer == "":
		return fmt.Sprintf("none: %s%s", s.Error, next), "31"
	case now.After(s.NotAfter):
		return fmt.Sprintf("expired %s ago%s%s", span(now.Sub(s.NotAfter)), said(s.Error), next), "31"
	case s.Error != "":
		return fmt.Sprintf("good for %s, renewal fails%s%s", span(s.NotAfter.Sub(now)), said(s.Error), next), "33"
	}
	return "good for " + span(s.NotAfter.Sub(now)), ""
}

func said(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

func (a *app) caCommand() *cobra.Command {
	cmd := a.command("ca [flags]", "Print the root certificate of the server's own authority, for clients to trust", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			pem, err := c.RootCertificate(ctx)
			if err == nil {
				fmt.Fprint(a.stdout, pem)
			}
			return err
		})
	})
	cmd.Long = "Print the root certificate of the server's own authority in PEM. Clients that trust it trust the certificates that the server gives to hosts which aren't public."
	a.hostFlag(cmd)
	return cmd
}
