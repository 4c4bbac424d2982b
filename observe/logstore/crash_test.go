package logstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/parttest"
	"rhumb/observe/logstore"
)

var allParts = map[string]func() error{"write": write, "small disk": smallDisk, "full disk": fullDisk}

// numbered returns the line with a number, whose text doesn't compress well.
func numbered(n int) rhumb.LogLine {
	text := strconv.Itoa(n) + " "
	for r := rand.New(rand.NewPCG(uint64(n), 1)); len(text) < 200; {
		text += strconv.FormatUint(r.Uint64(), 36)
	}
	return rhumb.LogLine{Time: time.Now(), Stack: "shop", Service: "web", Container: "c1", Text: text}
}

// numberOf returns the number of a line.
func numberOf(l rhumb.LogLine) int {
	s, _, _ := strings.Cut(l.Text, " ")
	n, _ := strconv.Atoi(s)
	return n
}

// write appends numbered lines until it is killed. It prints the number of lines after each Sync.
func write() error {
	s, err := logstore.Open("store", 0, discard)
	if err != nil {
		return err
	}
	n := 0
	count(s, &n)
	for {
		for range 20 {
			batch := make([]rhumb.LogLine, 0, 100)
			for range cap(batch) {
				batch = append(batch, numbered(n))
				n++
			}
			if _, err := s.Append(context.Background(), batch); err != nil {
				return err
			}
		}
		s.Drop("shop", "web", 0, 1)
		if err := s.Sync(context.Background()); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// count sets the number of the next line.
func count(s *logstore.Store, n *int) {
	for l := range s.Lines(context.Background(), rhumb.LogQuery{LogOptions: rhumb.LogOptions{Tail: 1}}) {
		if l.Text != "" {
			*n = numberOf(l) + 1
		}
	}
}

func TestWhatWasSyncedSurvivesKilling(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		c := parttest.Command(t, "write", dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		synced := 0
		for lines := bufio.NewScanner(out); synced < 4000*(round+1) && lines.Scan(); {
			synced, _ = strconv.Atoi(lines.Text())
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if synced == 0 {
			t.Fatal("the process has written nothing")
		}
		s := reopen(t, filepath.Join(dir, "store"))
		want := 0
		for l, err := range s.Lines(t.Context(), rhumb.LogQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			if n := numberOf(l); n != want {
				t.Fatalf("round %d: line %d, want %d", round, n, want)
			}
			want++
		}
		counts, err := s.LogCounts(t.Context(), rhumb.LogQuery{})
		if err != nil || len(counts) != 1 || counts[0].Dropped < int64(synced/2000) || want < synced {
			t.Errorf("round %d: %d lines of %d, %+v: %v", round, want, synced, counts, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADiskOf700KilobytesIsFull(t *testing.T) { parttest.InMounts(t, "small disk") }

func smallDisk() error {
	if err := parttest.Mount("700k"); err != nil {
		return err
	}
	s, err := logstore.Open("disk", 0, discard)
	if err != nil {
		return err
	}
	n, err := s.Append(context.Background(), []rhumb.LogLine{numbered(0)})
	if n != 0 || rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "the disk is full") {
		return fmt.Errorf("%d lines were taken: %w", n, err)
	}
	s.Drop("shop", "web", 0, 1)
	counts, err := s.LogCounts(context.Background(), rhumb.LogQuery{})
	if err != nil || len(counts) != 1 || counts[0].Dropped != 1 {
		return fmt.Errorf("%+v: %w", counts, err)
	}
	return s.Close()
}

func TestLinesAreRefusedBeforeTheDiskIsFull(t *testing.T) { parttest.InMounts(t, "full disk") }

func fullDisk() error {
	if err := parttest.Mount("80m"); err != nil {
		return err
	}
	s, err := logstore.Open("disk", 0, discard)
	if err != nil {
		return err
	}
	taken := 0
	for err == nil && taken < 1_000_000 {
		batch := make([]rhumb.LogLine, 0, 1000)
		for range cap(batch) {
			batch = append(batch, numbered(taken+len(batch)))
		}
		var n int
		n, err = s.Append(context.Background(), batch)
		taken += n
	}
	if rhumb.ErrorCode(err) != rhumb.Unavailable || taken < 10_000 {
		return fmt.Errorf("%d lines were taken: %w", taken, err)
	}
	if err := errors.Join(s.Sync(context.Background()), s.Close()); err != nil {
		return err
	}
	// Another program takes the rest.
	if err := os.WriteFile("disk/rest", make([]byte, 128<<20), 0o600); err == nil {
		return errors.New("the disk isn't full")
	}
	if s, err = logstore.Open("disk", 0, discard); err != nil {
		return err
	}
	counts, err := s.LogCounts(context.Background(), rhumb.LogQuery{})
	if err != nil || len(counts) != 1 || counts[0].Lines != int64(taken) {
		return fmt.Errorf("%+v, want %d lines: %w", counts, taken, err)
	}
	if n, err := s.Append(context.Background(), []rhumb.LogLine{numbered(0)}); n != 0 || err == nil {
		return fmt.Errorf("%d lines were taken: %w", n, err)
	}
	return s.Close()
}
