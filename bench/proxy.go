package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	proxyClients = 32
	proxyRound   = time.Second
)

// kind is what is asked for.
type kind struct {
	name   string
	client func(w *way) (asker, error)
	can    func(w *way) bool // nil: every way can
}

// host returns the last of a way's hosts.
func (w *way) host() string { return w.Hosts[len(w.Hosts)-1] }

func overHTTP(path string, closes bool) func(*way) (asker, error) {
	return func(w *way) (asker, error) { return newPlain(w.HTTP, path, w.host(), closes), nil }
}

var smallAnswers = kind{name: "small answers", client: overHTTP("small", false)}

var kinds = []kind{
	smallAnswers,
	{name: "64 kB answers", client: overHTTP("large", false)},
	{name: "a connection per request", client: overHTTP("small", true)},
	{name: "TLS with HTTP/2", client: func(w *way) (asker, error) { return newSecure(w.TLS, w.host()), nil }},
	{name: "TCP pass-through", client: func(w *way) (asker, error) { return newPlain(w.TCP, "small", "x", false), nil },
		can: func(w *way) bool {
			_, err := os.Stat(nginxStream)
			return w.Way != wayCaddy && w.Way != wayStandard && (w.Way != wayNginx || err == nil)
		}},
}

// measureProxy compares what a request costs through rhumb and through others, all in turns.
func measureProxy(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "rhumb-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := makeCertificate(dir); err != nil {
		return err
	}
	replica, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer replica.Close()
	go serveCanned(replica) // ends with its listener
	fmt.Printf("Requests through one process on one CPU, %d clients, %d rounds in turns; CPU time of the process.\n"+
		"Half: at half of the requests per second that the way can do.\n\n", proxyClients, o.n)
	for _, m := range []struct {
		hosts int
		log   bool
		kinds []kind
	}{{1, false, kinds}, {100, false, []kind{smallAnswers}}, {1000, false, []kind{smallAnswers}},
		{1, true, []kind{smallAnswers}}} {
		if err := measureWays(ctx, o, dir, replica.Addr().String(), m.hosts, m.log, m.kinds); err != nil {
			return err
		}
	}
	return nil
}

// measureWays measures the kinds with that many hosts, and prints a table for each.
func measureWays(ctx context.Context, o options, dir, replica string, hosts int, log bool, kinds []kind) error {
	ways, err := startWays(ctx, dir, replica, hosts, log)
	if err != nil {
		return err
	}
	defer stopWays(ways)
	for range o.n + 1 {
		for _, w := range ways {
			for _, k := range kinds {
				if k.can != nil && !k.can(w) {
					continue
				}
				if err := w.round(ctx, k); err != nil {
					return fmt.Errorf("%s, %s: %w", w.Way, k.name, err)
				}
			}
		}
	}
	for _, k := range kinds {
		what := k.name
		switch {
		case hosts > 1:
			what += fmt.Sprintf(", %d routes", hosts)
		case log:
			what += ", with an access log"
		}
		printTable(what, k, ways)
	}
	return nil
}

// round sends requests for a while, as many as possible and then half as many.
func (w *way) round(ctx context.Context, k kind) error {
	r := w.results[k.name]
	if r == nil {
		r = &result{}
		w.results[k.name] = r
	}
	client := func() (asker, error) { return k.client(w) }
	before, err := cpuTime(w.cmd.Process.Pid)
	if err != nil {
		return err
	}
	busy, err := load{clients: proxyClients, during: proxyRound}.run(ctx, client)
	if err != nil {
		return err
	}
	after, err := cpuTime(w.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if len(busy) == 0 {
		return fmt.Errorf("no request was answered in %v", proxyRound)
	}
	rate := float64(len(busy)) / proxyRound.Seconds()
	half, err := load{clients: proxyClients, during: proxyRound, rate: rate / 2}.run(ctx, client)
	r.cpu = append(r.cpu, (after-before)/time.Duration(len(busy)))
	r.rate = append(r.rate, rate)
	if len(r.cpu) > 1 { // the first round warms up
		r.busy, r.half = append(r.busy, busy...), append(r.half, half...)
	}
	return err
}

// printTable prints a kind as docs/benchmarks.md shows it.
func printTable(what string, k kind, ways []*way) {
	fmt.Printf("%s%s\n\n", strings.ToUpper(what[:1]), what[1:])
	fmt.Println("| way | CPU per request | ratio | requests/s | p50 | p99 | p50 at half | p99 at half |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- |")
	first := 0.0
	for _, w := range ways {
		r := w.results[k.name]
		if r == nil || len(r.half) == 0 {
			continue
		}
		cpu := micros(r.cpu[1:].median())
		if first == 0 {
			first = cpu
		}
		rates := slices.Sorted(slices.Values(r.rate[1:]))
		fmt.Printf("| %s | %.1f µs | %.2f | %.0f | %s | %s | %s | %s |\n", w.Way, cpu, cpu/first, rates[len(rates)/2],
			millis(r.busy.part(50)), millis(r.busy.part(99)), millis(r.half.part(50)), millis(r.half.part(99)))
	}
	fmt.Println()
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Nanoseconds())/1e6) }
