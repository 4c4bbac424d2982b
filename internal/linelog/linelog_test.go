package linelog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// entry is a line of a file, as Docker's driver reads it.
type entry struct {
	Log    string    `json:"log"`
	Stream string    `json:"stream"`
	Time   time.Time `json:"time"`
}

// entries returns the lines of a file.
func entries(t *testing.T, path string) []entry {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for line := range strings.Lines(string(b)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run runs a file until stop is called.
func run(f *File) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { f.Run(ctx, discard()) })
	return func() {
		cancel()
		work.Wait()
	}
}

func TestALineIsInTheFormOfDockersDriver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lines", "daemon.log")
	f := New(path, Options{})
	stop := run(f)
	texts := []string{`plain`, `{"msg":"a \"quoted\" word"}`,
		"tab\tand\nbreak\r\x00\x1b[1m", "grüße €", "bad \xff\xfe end \xe2\x82", ""}
	begun := time.Now()
	for _, text := range texts {
		fmt.Fprintln(f, text)
	}
	stop()
	all := entries(t, path)
	if len(all) != len(texts) {
		t.Fatalf("%d lines: %+v", len(all), all)
	}
	for i, e := range all {
		want := strings.ToValidUTF8(texts[i], "\ufffd") + "\n"
		if i == 4 {
			want = "bad \ufffd\ufffd end \ufffd\ufffd\n"
		}
		if e.Log != want || e.Stream != "stdout" || e.Time.Before(begun) || e.Time.After(time.Now()) {
			t.Errorf("%+q is written as %+v", texts[i], e)
		}
	}
}

func TestAnyTextSurvives(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 3000 {
		s := make([]byte, rng.IntN(40))
		for i := range s {
			s[i] = byte(rng.IntN(256))
			if rng.IntN(3) == 0 {
				s[i] = "\"\\\n\t\xe2\x82\xac"[rng.IntN(7)]
			}
		}
		want, err := json.Marshal(string(s))
		if err != nil {
			t.Fatal(err)
		}
		var a, b string
		if err := json.Unmarshal(want, &a); err != nil {
			t.Fatal(err)
		}
		got := append(appendQuoted([]byte{'"'}, s), '"')
		if err := json.Unmarshal(got, &b); err != nil || a != b {
			t.Fatalf("%+q is quoted as %s: %v", s, got, err)
		}
	}
}

func TestLinesAreWrittenAtMostTenTimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "l")
		f := New(path, Options{})
		stop := run(f)
		defer stop()
		lines := func() int {
			synctest.Wait()
			return len(entries(t, path))
		}
		fmt.Fprintln(f, "one")
		if n := lines(); n != 1 {
			t.Errorf("%d lines at once, want 1", n)
		}
		fmt.Fprintln(f, "two")
		fmt.Fprintln(f, "three")
		if n := lines(); n != 1 {
			t.Errorf("%d lines before the pause is over, want 1", n)
		}
		time.Sleep(flushEvery)
		if n := lines(); n != 3 {
			t.Errorf("%d lines after the pause, want 3", n)
		}
	})
}

func TestAFullFileIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	f := New(path, Options{MaxSize: 500, MaxFiles: 3})
	defer f.close()
	for i := range 40 {
		fmt.Fprintln(f, i)
		if err := f.flush(); err != nil {
			t.Fatal(err)
		}
	}
	next := 39
	for _, name := range []string{path, path + ".1", path + ".2"} {
		all := entries(t, name)
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Log != fmt.Sprintln(next) {
				t.Errorf("%s: line %q, want %d", name, all[i].Log, next)
			}
			next--
		}
	}
	if _, err := os.Stat(path + ".3"); err == nil || next > 30 {
		t.Errorf("the files hold the lines from %d on, and %s.3: %v", next+1, path, err)
	}
}

func TestLinesWithoutRoomAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	f := New(path, Options{Waiting: 1000})
	for range 100 {
		if n, err := f.Write([]byte(strings.Repeat("x", 99) + "\n")); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	stop := run(f)
	stop()
	all := entries(t, path)
	var last struct {
		Level string
		Lines int
	}
	if err := json.Unmarshal([]byte(all[len(all)-1].Log), &last); err != nil {
		t.Fatal(err)
	}
	if kept := len(all) - 1; kept < 4 || kept+last.Lines != 100 || last.Level != "WARN" {
		t.Errorf("%d lines are kept, and the last line is %+v", kept, last)
	}
}

func TestTheEndOfAnUnfinishedLineIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	if err := os.WriteFile(path, []byte(`{"log":"half`), 0o600); err != nil {
		t.Fatal(err)
	}
	f := New(path, Options{})
	fmt.Fprintln(f, "whole")
	run(f)()
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), "{\"log\":\"half\n{\"log\":\"whole\\n\"") {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// TestSeveralProcessesShareAFile has each writer close its file now and then, as a process that ends, and reads the
// files of all rotations: each line is there once, and those of a writer are in order.
func TestSeveralProcessesShareAFile(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	path := filepath.Join(t.TempDir(), "l")
	const writers, lines = 3, 400
	var work sync.WaitGroup
	for w := range writers {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		work.Go(func() {
			f := New(path, Options{MaxSize: 2000, MaxFiles: 1000})
			for i := range lines {
				fmt.Fprintln(f, w, i)
				if rng.IntN(4) == 0 {
					f.flushLast()
				}
				if rng.IntN(20) == 0 {
					f.close()
				}
			}
			for f.flush() != nil {
			}
			f.close()
		})
	}
	work.Wait()
	var next [writers]int
	for i := 999; i >= 0; i-- {
		name := (&disk{path: path}).name(i)
		if _, err := os.Stat(name); err != nil {
			continue
		}
		for _, e := range entries(t, name) {
			var w, n int
			if _, err := fmt.Sscan(e.Log, &w, &n); err != nil || next[w] != n {
				t.Fatalf("%s: line %q, want %d of %d: %v", name, e.Log, next[w], w, err)
			}
			next[w]++
		}
	}
	if next != [writers]int{lines, lines, lines} {
		t.Errorf("the files hold %v lines", next)
	}
}

func TestAFolderThatCannotBeMadeLosesNothingAtFirst(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "lines")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := New(filepath.Join(blocked, "l"), Options{})
	fmt.Fprintln(f, "one")
	if err := f.flush(); err == nil {
		t.Fatal("it was written")
	}
	fmt.Fprintln(f, "two")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	run(f)()
	if all := entries(t, filepath.Join(blocked, "l")); len(all) != 2 || all[0].Log != "one\n" || all[1].Log != "two\n" {
		t.Errorf("the lines are %+v", all)
	}
}

// A limit on the size of files ends a write in the middle, as a full disk does. It is a process's, so the test runs in
// one of its own: "go test" has each test binary write a log, which the limit would end too.
func TestAFullDiskKeepsWholeLinesAndTheRestComesLater(t *testing.T) {
	const limited = "RHUMB_TEST_LIMITED"
	if os.Getenv(limited) == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), limited+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "l")
	f := New(path, Options{})
	defer f.close()
	const lines = 200
	for i := range lines {
		fmt.Fprintln(f, i)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	for size := uint64(1000); size < 5000; size += 1000 {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		if err := f.flush(); err == nil {
			t.Fatal("all of it was written")
		}
		entries(t, path) // fails unless all lines are whole
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := f.flush(); err != nil {
		t.Fatal(err)
	}
	all := entries(t, path)
	for i, e := range all {
		if e.Log != fmt.Sprintln(i) {
			t.Fatalf("line %d is %q", i, e.Log)
		}
	}
	if len(all) != lines {
		t.Errorf("%d lines, want %d", len(all), lines)
	}
}

func TestALogRecordIsOneLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	f := New(path, Options{})
	slog.New(slog.NewJSONHandler(f, nil)).Info("started", "text", "a\nb")
	run(f)()
	var record map[string]any
	if all := entries(t, path); len(all) != 1 || json.Unmarshal([]byte(all[0].Log), &record) != nil {
		t.Errorf("the lines are %+v", all)
	}
	if record["msg"] != "started" || record["text"] != "a\nb" {
		t.Errorf("the record is %v", record)
	}
}

func BenchmarkLine(b *testing.B) {
	line, now := bytes.Repeat([]byte(`{"method":"GET","path":"/cart/1"}`), 10), time.Now()
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = appendLine(buffer[:0], now, line)
	}
}
