package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"rhumb"
)

// Routes prints a table of what the proxy serves, with statistics, and a table of service addresses.
func Routes(w io.Writer, rs rhumb.RouterStatus) {
	t := newTable(paintOn(w), "ADDRESS", "SERVICE", "REPLICAS", "OPEN", "SERVED", "ERRORS", "UNSERVED", "LATENCY")
	for _, l := range rs.Table.Listeners {
		if l.Backend != "" {
			t.add(routeRow(rs, listenerAddress(l), l.Backend)...)
		}
	}
	for _, r := range rs.Table.Rules {
		t.add(routeRow(rs, rhumb.Route{Host: r.Host, Path: r.Path}.Address(), r.Backend)...)
	}
	t.print(w)
	printUnseen(w, rs)
	printLimits(w, rs)
	printOptions(w, rs)
	printSegments(w, rs)
}

// printUnseen prints which services' replicas see the proxy's address instead of their clients', and why.
func printUnseen(w io.Writer, rs rhumb.RouterStatus) {
	for _, l := range rs.Table.Listeners {
		if why := rs.Unseen[l.Backend]; why != "" && (l.Protocol == rhumb.TCP || l.Protocol == rhumb.UDP) {
			fmt.Fprintf(w, "\n%s: replicas see the proxy's address instead of their clients': %s\n", listenerAddress(l), why)
		}
	}
}

// RoutesOf returns the part of a status that is about one stack.
func RoutesOf(rs rhumb.RouterStatus, stack string) rhumb.RouterStatus {
	t := &rs.Table
	t.Backends = keep(t.Backends, func(b rhumb.Backend) bool { return b.Stack == stack })
	mine, open, backends := map[string]bool{}, map[string]int{}, map[string]rhumb.BackendStats{}
	for _, b := range t.Backends {
		mine[b.Name], backends[b.Name] = true, rs.Backends[b.Name]
		for _, e := range b.Endpoints {
			open[e.Replica] = rs.Open[e.Replica]
		}
	}
	rs.Open, rs.Backends = open, backends
	rs.Unseen = maps.Clone(rs.Unseen)
	maps.DeleteFunc(rs.Unseen, func(backend, _ string) bool { return !mine[backend] })
	t.Listeners = keep(t.Listeners, func(l rhumb.Listener) bool { return mine[l.Backend] })
	rs.Unbound = keep(rs.Unbound, func(l rhumb.Listener) bool { return mine[l.Backend] })
	t.Rules = keep(t.Rules, func(r rhumb.Rule) bool { return mine[r.Backend] })
	used := map[string]bool{}
	for _, l := range t.Listeners {
		used[l.Options] = true
	}
	for _, r := range t.Rules {
		used[r.Options] = true
	}
	t.Options = keep(t.Options, func(o rhumb.TableOptions) bool { return used[o.ID] })
	t.Segments = keep(t.Segments, func(s rhumb.Segment) bool { return s.Stack == stack })
	t.Certificates = keep(t.Certificates, func(c rhumb.Certificate) bool { return c.Stack == stack })
	rs.Certificates = keep(rs.Certificates, func(c rhumb.CertificateStatus) bool { return c.Stack == stack })
	return rs
}

// keep returns a list of the elements for which wanted returns true.
func keep[T any](list []T, wanted func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(t T) bool { return !wanted(t) })
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
	if n := rs.Backends[backend].Waiting; n > 0 {
		replicas += fmt.Sprintf(", %d wait", n)
	}
	row := plain(address, backend, replicas, strconv.Itoa(open), strconv.FormatUint(sum.Served, 10),
		strconv.FormatUint(sum.Errors, 10), strconv.FormatUint(rs.Backends[backend].Lost(), 10), mean)
	if active == 0 {
		row[2].code = "31"
	}
	return row
}

// printSegments prints a table of the addresses of services inside their stacks.
func printSegments(w io.Writer, rs rhumb.RouterStatus) {
	if rs.NoSegments != "" {
		fmt.Fprintf(w, "\nservices have no addresses inside their stacks: %s\n", rs.NoSegments)
	}
	if len(rs.Table.Segments) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(paintOn(w), "NETWORK", "SERVICE", "ADDRESS", "REPLICAS")
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
	t.print(w)
}

// countReplicas returns how many endpoints get new connections, in words and as a number.
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
