package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rhumb"
	"rhumb/observe/collect"
	"rhumb/observe/logstore"
)

// keptLines is how many lines are stored and searched.
const keptLines = 2_000_000

// rare is in one of a hundred thousand lines, common in one of four.
const rare, common = "timeout while reading upstream", "GET"

// keepLogs measures what it costs to keep the lines of a container's log file, and to search them. The floor is gzip,
// and zgrep on what it made.
func keepLogs(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "rhumb-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "container-json.log")
	if err := writeLines(file); err != nil {
		return err
	}
	packed := filepath.Join(dir, "packed.gz")
	floor, err := spent(func() error { return pack(file, packed) })
	if err != nil {
		return err
	}
	logstore.Prepare(logstore.DefaultMemory, slog.New(slog.DiscardHandler))
	store, err := logstore.Open(filepath.Join(dir, "logs"), 0, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	taken, err := spent(func() error { return collectFile(ctx, store, file, filepath.Join(dir, "positions")) })
	if err != nil {
		return err
	}
	size, err := sizeOf(filepath.Join(dir, "logs"))
	if err != nil {
		return err
	}
	fmt.Printf("%d lines of a container's log file, as access lines in JSON\n", keptLines)
	fmt.Printf("  %-46s %6.0f lines/s a core, %5.1f bytes a line\n", "gzip -1", perSecond(floor),
		float64(fileSize(packed))/keptLines)
	fmt.Printf("  %-46s %6.0f lines/s a core, %5.1f bytes a line   ratio to the floor: %.2f\n", "rhumb observe",
		perSecond(taken), float64(size)/keptLines, floor.Seconds()/taken.Seconds())
	for _, phrase := range []string{rare, common} {
		if err := search(ctx, store, packed, phrase); err != nil {
			return err
		}
	}
	fmt.Println()
	return store.Close()
}

// writeLines writes the log file as the engine does. The lines of an hour are in it.
func writeLines(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	at := time.Now().Add(-time.Hour)
	for i := range keptLines {
		msg, method := "served", []string{"GET", "POST", "PUT", "DELETE"}[i%4]
		if i%100_000 == 5 {
			msg = rare
		}
		line := fmt.Sprintf(`{\"level\":\"info\",\"msg\":\"%s\",\"method\":\"%s\",\"path\":\"/cart/%d\",`+
			`\"status\":%d,\"ms\":%d,\"ip\":\"10.0.%d.%d\"}`, msg, method, i*7919%50_000, 200+i%3, i*31%400, i%7, i*17%251)
		fmt.Fprintf(w, `{"log":"%s\n","stream":"stdout","time":"%s"}`+"\n", line,
			at.Add(time.Duration(i)*time.Hour/keptLines).UTC().Format(time.RFC3339Nano))
	}
	return w.Flush()
}

// pack is what a machine without a store does with old logs.
func pack(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, in); err != nil {
		return err
	}
	return z.Close()
}

// oneFile is an engine with one dead container.
type oneFile struct{ path string }

func (o oneFile) Writers(context.Context) ([]rhumb.LogWriter, error) {
	return []rhumb.LogWriter{{Line: rhumb.LogLine{Stack: "bench", Service: "web", Replica: "bench-web.1.1",
		Container: "bench", Release: 1}, Started: time.Now(), Finished: time.Now(), File: o.path}}, nil
}

func (oneFile) Watch(context.Context) (<-chan rhumb.Change, error) {
	return make(chan rhumb.Change), nil
}

func (oneFile) Logs(context.Context, string, rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(func(rhumb.LogLine, error) bool) {}
}

// collectFile carries all lines of the file to the store's disk.
func collectFile(ctx context.Context, store *logstore.Store, file, positions string) error {
	c := collect.New(collect.Deps{Engine: oneFile{file}, Sink: store, Positions: positions})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running) }()
	err := c.Drained(ctx, "bench")
	stop()
	if closing := <-ended; err == nil {
		err = closing
	}
	return err
}

// search measures how long it takes to find all lines with a phrase.
func search(ctx context.Context, store *logstore.Store, packed, phrase string) error {
	var rhumbT, floorT series
	found, want := int64(0), ""
	for range 5 {
		begun := time.Now()
		counts, err := store.LogCounts(ctx, rhumb.LogQuery{Stack: "bench", Query: fmt.Sprintf("%q", phrase)})
		if err != nil || len(counts) != 1 {
			return fmt.Errorf("search %q: %d counts, %w", phrase, len(counts), err)
		}
		rhumbT, found = append(rhumbT, time.Since(begun)), counts[0].Lines
		begun = time.Now()
		out, err := exec.CommandContext(ctx, "zgrep", "-c", phrase, packed).Output()
		if err != nil {
			return err
		}
		floorT, want = append(floorT, time.Since(begun)), strings.TrimSpace(string(out))
	}
	if want != fmt.Sprint(found) {
		return fmt.Errorf("search %q: %d lines, zgrep finds %s", phrase, found, want)
	}
	fmt.Printf("Search of %q: %d lines\n", phrase, found)
	report("zgrep -c", floorT, floorT)
	report("rhumb logs stats", rhumbT, floorT)
	return nil
}

// spent returns how much time this process spends on the processors meanwhile.
func spent(do func() error) (time.Duration, error) {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return 0, err
	}
	err := do()
	if e := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err == nil {
		err = e
	}
	return time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()), err
}

func perSecond(d time.Duration) float64 { return keptLines / d.Seconds() }

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// sizeOf returns the bytes of all files in a folder.
func sizeOf(dir string) (total int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	return total, err
}
