package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAFailedWriteLeavesNoTrace makes writes fail by closing the file under the queue.
func TestAFailedWriteLeavesNoTrace(t *testing.T) {
	q := open(t, t.TempDir(), 1<<20)
	add(t, q, records(0, 5, 10))
	q.out.Close()
	if n, err := q.Append(records(5, 5, 10)); err == nil || n != 0 {
		t.Fatalf("appended %d, %v, want an error", n, err)
	}
	q.Lose(5)
	add(t, q, records(10, 5, 10))
	if got := drain(t, q); !slices.Equal(got, append(span(0, 5), span(10, 15)...)) {
		t.Errorf("got %v, want 0 to 4 and 10 to 14", got)
	}
	if s := q.Stats(); s.Lost != 5 || s.Sent != 10 {
		t.Errorf("%+v, want 5 lost, 10 sent", s)
	}
}

// TestAFullDiskLosesLinesAndRecovers uses a file system of 256 kB.
func TestAFullDiskLosesLinesAndRecovers(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system can't be mounted: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	q := open(t, dir, 1<<30)
	appended, failed := 0, 0
	for i := range 400 {
		n, err := q.Append(records(i*10, 10, 92))
		appended += n
		if err != nil {
			failed++
			q.Lose(10 - n)
		}
	}
	if failed == 0 {
		t.Fatal("no write failed")
	}
	if s := q.Stats(); s.Lines != int64(appended) || s.Lost != int64(4000-appended) {
		t.Errorf("%+v, want %d lines and the others lost", s, appended)
	}
	for {
		b := q.Read(100, 1<<20)
		if len(b.Records) == 0 {
			break
		}
		_ = q.Commit(b, 0) // the position can't be saved on a full disk
	}
	q.Drop(0)
	if s := q.Stats(); s.Sent != int64(appended) || s.Lost != int64(4000-appended) {
		t.Errorf("%+v, want %d sent", s, appended)
	}
}

// TestRandomWorkNeverRepeatsOrHidesALoss appends, reads, commits, reopens, and copies the folder as kill -9 leaves it.
func TestRandomWorkNeverRepeatsOrHidesALoss(t *testing.T) {
	for range 5 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		dir, appended := t.TempDir(), 0
		q := open(t, dir, 1<<14)
		last := -1
		for range 100 {
			switch r.IntN(6) {
			case 0, 1, 2:
				n := r.IntN(40)
				add(t, q, records(appended, n, r.IntN(200)))
				appended += n
			case 3, 4:
				b := q.Read(1+r.IntN(50), 1<<12)
				for i, rec := range b.Records {
					var n int
					if _, err := fmt.Sscanf(string(rec[:8]), "%d", &n); err != nil || n != int(b.First)+i || n <= last {
						t.Fatalf("seed %d: record %d has number %d after %d, %v", seed, n, int(b.First)+i, last, err)
					}
					last = n
				}
				if err := q.Commit(b, 0); err != nil {
					t.Fatal(err)
				}
			case 5:
				next := t.TempDir()
				if err := os.CopyFS(filepath.Join(next, "q"), os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				dir = filepath.Join(next, "q")
				q = open(t, dir, 1<<14)
			}
		}
		drain(t, q)
		if s := q.Stats(); s.Sent+s.Lost != int64(appended) || s.Lines != 0 || s.Bytes != 0 {
			t.Fatalf("seed %d: %+v of %d appended", seed, s, appended)
		}
	}
}

// TestAKilledWriterLeavesWholeRecords kills a process that appends, and reads what it left.
func TestAKilledWriterLeavesWholeRecords(t *testing.T) {
	if dir := os.Getenv("SPOOL_TEST_WRITE"); dir != "" {
		q := open(t, dir, 1<<30)
		for i := 0; ; i += 10 {
			add(t, q, records(i, 10, i%500))
			fmt.Printf("%d\n", i+10)
		}
	}
	for range 3 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestAKilledWriterLeavesWholeRecords$")
		cmd.Env = append(os.Environ(), "SPOOL_TEST_WRITE="+dir)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(50+rand.IntN(100))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatal(err)
		}
		lines := strings.Fields(out.String())
		said := 0
		if len(lines) > 0 {
			if _, err := fmt.Sscan(lines[len(lines)-1], &said); err != nil {
				t.Fatal(err)
			}
		}
		q := open(t, dir, 1<<30)
		got := drain(t, q)
		if !slices.Equal(got, span(0, len(got))) || len(got) < said {
			t.Fatalf("%d records, want at least %d, in order", len(got), said)
		}
		if s := q.Stats(); s.Lost != 0 {
			t.Fatalf("%d lost", s.Lost)
		}
	}
}

func FuzzSegment(f *testing.F) {
	q, err := Open(f.TempDir(), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := q.Append(records(0, 3, 5)); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(q.dir.path(0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, []byte(`{"ID":"x","Next":1}`))
	f.Add(make([]byte, 100), []byte("{"))
	f.Fuzz(func(t *testing.T, segment, position []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"position.json": position, fmt.Sprintf("%020d.log", 0): segment,
			fmt.Sprintf("%020d.log", 7): segment} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		q, err := Open(dir, 1<<20)
		if err != nil {
			return
		}
		for {
			b := q.Read(10, 1000)
			if len(b.Records) == 0 {
				break
			}
			if err := q.Commit(b, 0); err != nil {
				t.Fatal(err)
			}
		}
		add(t, q, records(0, 1, 5))
		if b := q.Read(10, 1000); len(b.Records) != 1 {
			t.Fatal("a record appended afterwards isn't read")
		}
	})
}
