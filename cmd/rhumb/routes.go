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
			a.printSegments(rs)
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
	replicas, active := countReplicas(rs.Table.Backends[i].Endpoints)
	open := 0
	for _, e := range rs.Table.Backends[i].Endpoints {
		open += rs.Open[e.Replica]
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

// printSegments lists the addresses that services have inside their stacks.
func (a *app) printSegments(rs rhumb.RouterStatus) {
	if rs.NoSegments != "" {
		fmt.Fprintf(a.stdout, "\nservices have no addresses inside their stacks: %s\n", rs.NoSegments)
	}
	if len(rs.Table.Segments) == 0 {
		return
	}
	fmt.Fprintln(a.stdout)
	t := newTable(a.paint(a.stdout), "NETWORK", "SERVICE", "ADDRESS", "REPLICAS")
	for _, s := range rs.Table.Segments {
		for _, addr := range s.Services {
			replicas, active := countReplicas(addr.Endpoints)
			if active == 0 && time.Now().Before(addr.Gap) {
				replicas += ", callers wait"
			}
			row := plain(s.Network, s.Stack+"/"+addr.Service, addr.Addr.String(), replicas)
			if active == 0 {
				row[3].code = "31"
			}
			t.add(row...)
		}
	}
	t.print(a.stdout)
}

// countReplicas says how many replicas are led to.
func countReplicas(es []rhumb.Endpoint) (words string, active int) {
	draining := 0
	for _, e := range es {
		active += btoi(!e.Draining)
		draining += btoi(e.Draining)
	}
	if draining > 0 {
		return fmt.Sprintf("%d, %d draining", active, draining), active
	}
	return strconv.Itoa(active), active
}
