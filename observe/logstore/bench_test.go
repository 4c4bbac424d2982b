package logstore_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/observe/logstore"
)

// access returns a line in JSON as an access log has it, with its fields.
func access(r *rand.Rand, at time.Time) rhumb.LogLine {
	paths := []string{"/", "/api/cart", "/api/products", "/login", "/static/app.js"}
	f := map[string]string{
		"method": []string{"GET", "GET", "GET", "POST"}[r.IntN(4)],
		"path":   paths[r.IntN(len(paths))],
		"status": []string{"200", "200", "200", "304", "404", "500"}[r.IntN(6)],
		"took":   strconv.Itoa(r.IntN(900)),
		"ip":     fmt.Sprintf("10.0.%d.%d", r.IntN(4), r.IntN(250)),
	}
	return rhumb.LogLine{
		Time: at, Stack: "shop", Service: "web", Replica: "shop-web-1", Container: "0123456789ab", Release: 3,
		Kind: rhumb.LineAccess, Level: rhumb.LevelInfo, Fields: f,
		Text: fmt.Sprintf(`{"method":%q,"path":%q,"status":%s,"took":%s,"ip":%q}`, f["method"], f["path"], f["status"],
			f["took"], f["ip"]),
	}
}

// batches returns n lines in batches of 1000, a millisecond apart.
func batches(n int) [][]rhumb.LogLine {
	r := rand.New(rand.NewPCG(1, 1))
	at := time.Now().Add(-2 * time.Hour)
	all := make([][]rhumb.LogLine, n/1000)
	for i := range all {
		for range 1000 {
			at = at.Add(time.Duration(r.IntN(2_000_000)))
			all[i] = append(all[i], access(r, at))
		}
	}
	return all
}

func BenchmarkAppend(b *testing.B) {
	all := batches(200_000)
	dir := b.TempDir()
	s := open(b, dir)
	lines := 0
	before := processor(b)
	for b.Loop() {
		for _, batch := range all {
			if _, err := s.Append(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			lines += len(batch)
		}
	}
	if err := s.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(float64(lines)/(processor(b)-before).Seconds(), "lines/core-s")
	b.ReportMetric(float64(used(b, dir))/float64(lines), "B/line")
}

// processor returns how long this process has computed.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kept returns a store with 2 million lines on the disk.
func kept(b *testing.B) (*logstore.Store, string) {
	b.Helper()
	dir := b.TempDir()
	s := open(b, dir)
	r := rand.New(rand.NewPCG(1, 1))
	at := time.Now().Add(-2 * time.Hour)
	for range 2000 {
		batch := make([]rhumb.LogLine, 0, 1000)
		for range cap(batch) {
			at = at.Add(time.Duration(r.IntN(5_000_000)))
			batch = append(batch, access(r, at))
		}
		if _, err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s, dir
}

func BenchmarkRead(b *testing.B) {
	s, dir := kept(b)
	tail := rhumb.LogOptions{Tail: 100}
	for _, c := range []struct {
		name  string
		q     rhumb.LogQuery
		count bool
	}{
		{"count of a phrase", rhumb.LogQuery{Query: `"/api/cart"`}, true},
		{"count of a rare phrase", rhumb.LogQuery{Query: `"nowhere found"`}, true},
		{"count of a regexp", rhumb.LogQuery{Grep: `took":8[0-9]\b`}, true},
		{"tail", rhumb.LogQuery{LogOptions: tail}, false},
		{"tail of a rare phrase", rhumb.LogQuery{LogOptions: tail, Query: `"10.0.3.249" "took" status:500 took:899`}, false},
		{"all lines", rhumb.LogQuery{}, false},
		{"lines around hits", rhumb.LogQuery{Query: "status:500 took:899 method:POST path:/login", Around: 3}, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				if c.count {
					if _, err := s.LogCounts(b.Context(), c.q); err != nil {
						b.Fatal(err)
					}
				} else {
					for _, err := range s.Lines(b.Context(), c.q) {
						if err != nil {
							b.Fatal(err)
						}
						n++
					}
					b.ReportMetric(float64(n), "found")
				}
			}
		})
	}
	b.ReportMetric(float64(used(b, dir))/2e6, "B/line")
}
