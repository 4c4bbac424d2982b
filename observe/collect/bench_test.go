package collect

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/observe/parse"
)

func linesOf(l rhumb.LogLine, at int64) parse.Line { return parse.Line{LogLine: l, At: at, End: at} }

// null is a sink that keeps nothing.
type null struct{ store }

func (*null) Append(_ context.Context, lines []rhumb.LogLine) (int, error) { return len(lines), nil }

// cpu returns how much time this process has spent on the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCollect measures the way from a file to a sink, with access lines in JSON and in text. us_cpu/line is what
// counts: the machine may be busy.
func BenchmarkCollect(b *testing.B) {
	for name, line := range map[string]string{
		"json": `{"level":"info","time":"2026-11-28T03:47:55Z","method":"GET","path":"/cart/%d","status":200,"bytes":512}`,
		"text": `10.0.0.1 - - [28/Nov/2026:03:47:55 +0000] "GET /cart/%d HTTP/1.1" 200 512 "-" "curl/8.0"`,
	} {
		b.Run(name, func(b *testing.B) {
			const n = 200_000
			f := enginefake.LogFile{Path: filepath.Join(b.TempDir(), "c-json.log")}
			for i := range n {
				if err := f.Write(time.Now(), false, fmt.Sprintf(line, i)+"\n"); err != nil {
					b.Fatal(err)
				}
			}
			var lines, spent time.Duration
			for b.Loop() {
				c := New(Deps{Sink: &null{*newStore(1)}, Positions: filepath.Join(b.TempDir(), "positions")})
				t := newTail(c, rhumb.LogWriter{File: f.Path, Started: time.Now(), Finished: time.Now(),
					Line: rhumb.LogLine{Container: "c"}})
				t.finished = true
				begun := cpu()
				t.run(b.Context())
				spent += cpu() - begun
				lines += n
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(lines), "us_cpu/line")
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkIdle measures a collector of 20 replicas that each write a line every ten seconds, over one second an
// iteration.
func BenchmarkIdle(b *testing.B) {
	e := enginefake.New(time.Now)
	e.AddImage("app")
	e.KeepLogFiles(b.TempDir(), 0, 0)
	c := New(Deps{Engine: e, Sink: &null{*newStore(1)}, Positions: filepath.Join(b.TempDir(), "positions")})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var ids []string
	for i := range 20 {
		r, err := e.Start(ctx, rhumb.ReplicaSpec{Stack: "shop", Service: "web", Release: 1, Slot: i + 1,
			Container: rhumb.Container{Image: "app"}})
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	for waited := 0; waited < 100; waited++ {
		time.Sleep(10 * time.Millisecond)
	}
	runtime.GC()
	begun, from, n := cpu(), time.Now(), 0
	for b.Loop() {
		for range 2 {
			if err := e.LogFile(ids[n%20]).Write(time.Now(), false, "GET /cart 200\n"); err != nil {
				b.Fatal(err)
			}
			n++
			time.Sleep(500 * time.Millisecond)
		}
	}
	b.ReportMetric(100*(cpu()-begun).Seconds()/time.Since(from).Seconds(), "%core")
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
