package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"rhumb"
	"rhumb/internal/seal"
	"rhumb/sqlite"
	"rhumb/sqlite/storetest"
)

// writerDir is where the child process of the crash test writes.
const writerDir = "RHUMB_TEST_WRITER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		fmt.Println(writeForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForever prints every write once the store has acknowledged it.
func writeForever(dir string) error {
	key, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		return err
	}
	s, err := sqlite.Open(filepath.Join(dir, "rhumb.db"), key)
	if err != nil {
		return err
	}
	for {
		if err := writeOnce(s); err != nil {
			return err
		}
	}
}

func writeOnce(s *sqlite.Store) error {
	ctx := context.Background()
	d, err := s.Begin(ctx, storetest.Release("shop", "web:1"), storetest.Deployment("shop"))
	if rhumb.ErrorCode(err) == rhumb.Locked { // left open by the writer that was killed before
		if d, err = s.Deployment(ctx, "shop", 0); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	fmt.Println("begun", d.To)
	if err := d.Move(rhumb.PhaseConverged, d.Started, ""); err != nil {
		return err
	}
	if _, err := s.Save(ctx, d); err != nil {
		return err
	}
	fmt.Println("serves", d.To)
	e, err := s.Append(ctx, rhumb.Event{Kind: rhumb.EventReady, Stack: "shop"})
	if err != nil {
		return err
	}
	fmt.Println("event", e.ID)
	return nil
}

func TestNothingAcknowledgedIsLostWhenTheWriterIsKilled(t *testing.T) {
	dir := t.TempDir()
	var begun, serves int
	var event int64
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := 20 + 7*round; lines.Scan(); left-- { // it writes on while its lines are read: the kill falls anywhere
			if left == 0 {
				_ = cmd.Process.Kill()
			}
			var n int
			switch word := ""; {
			case scan(lines.Text(), &word, &n) && word == "begun":
				begun = n
			case word == "serves":
				serves = n
			case word == "event":
				event = int64(n)
			default:
				t.Fatalf("the writer says %q", lines.Text())
			}
		}
		_ = cmd.Wait() // it was killed
		s := open(t, dir)
		st, err := s.StackState(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		events, err := s.Events(t.Context(), rhumb.EventFilter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if st.Last < begun || st.Current < serves || (event > 0 && events[0].ID < event) {
			t.Fatalf("round %d: acknowledged %d, %d, %d; found %+v, %+v", round, begun, serves, event, st, events)
		}
		for n := 1; n <= st.Last; n++ {
			if _, err := s.Release(t.Context(), "shop", n); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		s.Close()
	}
	if serves < 20 {
		t.Fatalf("only %d releases were written: the test shows little", serves)
	}
	t.Logf("%d releases, %d events, killed 5 times", serves, event)
}

func scan(line string, word *string, n *int) bool {
	_, err := fmt.Sscan(line, word, n)
	return err == nil
}
