package collect

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb/engine/enginefake"
)

// inOrder fails unless the container's lines are the numbers up to n, each once, in order on each stream.
func (b *bench) inOrder(id string, n int) {
	b.Helper()
	seen := make([]int, n)
	for _, stderr := range []bool{false, true} {
		last := -1
		for _, text := range b.sink.texts(id, stderr) {
			i := -1
			if _, err := fmt.Sscan(strings.TrimPrefix(strings.TrimSpace(text), "at "), &i); err != nil || i < 0 || i >= n {
				b.Errorf("%s: line %.80q", id, text)
				continue
			}
			if seen[i]++; i <= last {
				b.Errorf("%s: %d is after %d", id, i, last)
			}
			last = i
		}
	}
	for i, times := range seen {
		if times != 1 {
			b.Errorf("%s: %d is there %d times", id, i, times)
		}
	}
}

func TestFilesThatAreRotatedAwayAreReadToTheirEnds(t *testing.T) {
	b := setup(t, 0, 2)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "0\n")
	b.within("the first line", func() bool { return b.sink.has(r.ID, "0") })
	b.sink.set(func(s *store) { s.full = true })
	tail := b.tail(r.ID)
	n := 1
	for range 10 {
		for range 50 {
			b.write(r.ID, false, fmt.Sprintln(n))
			n++
		}
		tail.trail.mu.Lock()
		before := tail.trail.seq
		tail.trail.mu.Unlock()
		if err := b.engine.LogFile(r.ID).Rotate(); err != nil {
			t.Fatal(err)
		}
		b.within("the rotation was seen", func() bool {
			tail.trail.mu.Lock()
			defer tail.trail.mu.Unlock()
			return tail.trail.seq > before
		})
	}
	b.sink.set(func(s *store) { s.full = false })
	b.within("all lines", func() bool { return len(b.sink.texts(r.ID, false)) == n })
	b.inOrder(r.ID, n)
}

// writeNumbers writes numbered lines as programs do: short, long, as traces, on both streams, fast and with pauses.
func (b *bench) writeNumbers(id string, n int, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	file := b.engine.LogFile(id)
	for i := range n {
		text := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", rng.IntN(60)))
		switch rng.IntN(20) {
		case 0:
			text = fmt.Sprintf("%d %s\n", i, strings.Repeat("y", 16<<10+rng.IntN(40<<10)))
		case 1, 2, 3:
			text = fmt.Sprintf("    at %d\n", i)
		}
		if err := file.Write(time.Now(), rng.IntN(4) == 0, text); err != nil {
			b.Error(err)
			return
		}
		if rng.IntN(30) == 0 {
			time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
		}
	}
}

func TestEachLineIsCollectedOnceAcrossCrashesAndRotations(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	b := setup(t, 24<<10, 300) // nothing is removed, however far the positions are behind
	b.sink = newStore(seed)
	b.sink.shaky = true
	const replicas, lines = 4, 1500
	var ids []string
	var writers sync.WaitGroup
	for i := range replicas {
		r := b.start(fmt.Sprint("stack", i%2), i+1)
		ids = append(ids, r.ID)
		s := rng.Uint64()
		writers.Go(func() { b.writeNumbers(r.ID, lines, s) })
	}
	written := make(chan struct{})
	go func() {
		writers.Wait()
		close(written)
	}()
	crashes := 0
	for over := false; !over; {
		b.collect()
		select {
		case <-time.After(time.Duration(rng.IntN(400)) * time.Millisecond):
			if rng.IntN(2) == 0 {
				if err := b.save(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		case <-written:
			over = true
		}
		b.stop()
		b.sink.crash()
		crashes++
	}
	b.collect()
	for _, id := range ids {
		b.engine.Kill(id, 0)
		b.drained(id)
		b.inOrder(id, lines)
	}
	t.Logf("%d crashes", crashes)
}

func TestAnOrderlyStopStoresThePositions(t *testing.T) {
	b := setup(t, 0, 0)
	b.Collector = New(Deps{Engine: b.engine, Sink: b.sink, Positions: b.path})
	b.launch(b.Collector.Run)
	r := b.start("shop", 1)
	b.write(r.ID, false, "0\n")
	b.within("the line", func() bool { return b.sink.has(r.ID, "0") })
	b.stop()
	p, ok := loadPositions(b.path, slog.Default()).get(r.ID)
	if !ok || p.Offset == 0 || p.Inode == 0 || p.Time.IsZero() {
		t.Errorf("position: %+v, %v", p, ok)
	}
	b.write(r.ID, false, "1\n")
	b.collect()
	b.within("the next line", func() bool { return b.sink.has(r.ID, "1") })
	b.inOrder(r.ID, 2)
}

func TestPositionsThatCannotBeReadAreSetAside(t *testing.T) {
	b := setup(t, 0, 0)
	b.collect()
	r := b.start("shop", 1)
	b.write(r.ID, false, "0\n1\n")
	b.within("the lines", func() bool { return b.sink.has(r.ID, "1") })
	b.stop()
	if err := os.WriteFile(b.path, []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.write(r.ID, false, "2\n")
	b.collect()
	b.within("the next line", func() bool { return b.sink.has(r.ID, "2") })
	b.inOrder(r.ID, 3)
	if _, err := os.Stat(b.path + ".broken"); err != nil {
		t.Error(err)
	}
}

func TestAFileThatIsEmptiedIsReadFromItsBeginning(t *testing.T) {
	b := setup(t, 0, 1)
	b.collect()
	r := b.start("shop", 1)
	n := 0
	for range 5 {
		for range 20 {
			b.write(r.ID, false, fmt.Sprintln(n))
			n++
		}
		b.within("the lines", func() bool { return len(b.sink.texts(r.ID, false)) == n })
		if err := b.engine.LogFile(r.ID).Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	b.inOrder(r.ID, n)
}

func TestWhatIsRotatedAwayUnreadIsCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	lost := int64(0)
	tr := &trail{path: path, log: slog.New(slog.DiscardHandler), lost: func(n int64) { lost += n }}
	f := enginefake.LogFile{Path: path, MaxFile: 2}
	text := strings.Repeat(strings.Repeat("x", 16<<10-1)+"\n", 1)
	for file := range 4 {
		for range maxHeld / 2 / (16 << 10) {
			if err := f.Write(time.Now(), false, text); err != nil {
				t.Fatal(err)
			}
		}
		if file == 0 {
			if _, err := tr.open(position{}); err != nil {
				t.Fatal(err)
			}
		}
		tr.look()
		if err := f.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	tr.look()
	defer tr.close()
	left := int64(0)
	for {
		data, _, err := tr.next(true)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			break
		}
		left += int64(strings.Count(string(data), "\n"))
	}
	if lost == 0 || lost+left != 4*maxHeld/2/(16<<10) {
		t.Errorf("%d lost, %d read", lost, left)
	}
}

// compress replaces a file by a compressed one, as the engine does with those that it has rotated.
func compress(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".gz", b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatWereCompressedMeanwhileAreRead(t *testing.T) {
	b := setup(t, 0, 10)
	b.collect()
	r := b.start("shop", 1)
	n := 0
	write := func() {
		for range 20 {
			b.write(r.ID, false, fmt.Sprintln(n))
			n++
		}
	}
	write()
	b.within("the first lines", func() bool { return len(b.sink.texts(r.ID, false)) == n })
	if err := b.save(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.stop()
	file := b.engine.LogFile(r.ID)
	for range 3 {
		write()
		if err := file.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	write()
	for i := 2; i <= 3; i++ {
		compress(t, fmt.Sprintf("%s.%d", file.Path, i))
	}
	b.collect()
	b.within("all lines", func() bool { return len(b.sink.texts(r.ID, false)) >= n })
	b.inOrder(r.ID, n)
}
