package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/httpapi/client"
)

func (a *app) routesCommand() *cobra.Command {
	cmd := a.command("routes [flags]", "Show what the proxy serves, and how well", cobra.NoArgs, func(ctx context.Context, _ []string) error {
		return a.with(func(c *client.Client) error {
			rs, err := c.Routes(ctx)
			if err != nil {
				return err
			}
			if a.o.json() {
				return printJSON(a.stdout, rs)
			}
			t := newTable(a.paint(a.stdout), "ADDRESS", "SERVICE", "REPLICAS", "OPEN", "SERVED", "ERRORS", "LATENCY")
			for _, l := range rs.Table.Listeners {
				if l.Backend != "" {
					t.add(routeRow(rs, listenerAddress(l), l.Backend)...)
				}
			}
			for _, r := range rs.Table.Rules {
				t.add(routeRow(rs, rhumb.Route{Host: r.Host, Path: r.Path}.Address(), r.Backend)...)
			}
			t.print(a.stdout)
			return nil
		})
	})
	a.hostFlag(cmd)
	a.formatFlag(cmd)
	return cmd
}

func listenerAddress(l rhumb.Listener) string {
	p := rhumb.Port{Published: l.Addr.Port(), Protocol: l.Protocol}
	if !l.Addr.Addr().IsUnspecified() {
		p.HostIP = l.Addr.Addr().String()
	}
	return p.Address()
}

func routeRow(rs rhumb.RouterStatus, address, backend string) []cell {
	i := slices.IndexFunc(rs.Table.Backends, func(b rhumb.Backend) bool { return b.Name == backend })
	if i < 0 {
		return plain(address, backend)
	}
	active, draining, open := 0, 0, 0
	for _, e := range rs.Table.Backends[i].Endpoints {
		open += rs.Open[e.Replica]
		active += btoi(!e.Draining)
		draining += btoi(e.Draining)
	}
	replicas := strconv.Itoa(active)
	if draining > 0 {
		replicas = fmt.Sprintf("%d, %d draining", active, draining)
	}
	var sum rhumb.ReleaseStats
	for _, r := range rs.Backends[backend].Releases {
		sum.Served, sum.Errors, sum.Latency = sum.Served+r.Served, sum.Errors+r.Errors, sum.Latency+r.Latency
	}
	mean := "-"
	if sum.Served > 0 && sum.Latency > 0 {
		mean = (sum.Latency / time.Duration(sum.Served)).Round(100 * time.Microsecond).String()
	}
	row := plain(address, backend, replicas, strconv.Itoa(open), strconv.FormatUint(sum.Served, 10), strconv.FormatUint(sum.Errors, 10), mean)
	if active == 0 {
		row[2].code = "31"
	}
	return row
}
