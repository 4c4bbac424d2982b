package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"rhumb"
	"rhumb/sqlite"
)

func TestACopyOfADatabaseInUseIsWholeAndOpens(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var writers sync.WaitGroup
	stop := make(chan struct{})
	writers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				deploy(t, s)
			}
		}
	})
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		b, err := sqlite.Copy(t.Context(), filepath.Join(dir, "rhumb.db"))
		if err != nil {
			t.Fatal(err)
		}
		there := t.TempDir()
		for name, content := range map[string][]byte{"key": key, "rhumb.db": b} {
			if err := os.WriteFile(filepath.Join(there, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := open(t, there).Close(); err != nil { // which looks through all of it
			t.Error(err)
		}
	}
	close(stop)
	writers.Wait()
}

func TestAPeekReportsWhatADatabaseHoldsAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.db")
	if _, err := sqlite.Peek(t.Context(), path); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("of one that isn't there: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made")
	}
	s := open(t, dir)
	deploy(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sqlite.Peek(t.Context(), path)
	if err != nil || got != (sqlite.Held{Schema: sqlite.Schema(), Releases: 1}) {
		t.Errorf("it holds %+v (%v)", got, err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestADatabaseWithADamagedLogIsNotCopiedAndKept(t *testing.T) {
	files := crashed(t)
	log := files["rhumb.db-wal"]
	log[len(log)/2] ^= 1
	dir := t.TempDir()
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "rhumb.db")
	if _, err := sqlite.Copy(t.Context(), path); rhumb.ErrorCode(err) != rhumb.Internal {
		t.Errorf("a copy: %v", err)
	}
	if _, err := sqlite.Peek(t.Context(), path); rhumb.ErrorCode(err) != rhumb.Internal {
		t.Errorf("a look: %v", err)
	}
	for _, name := range []string{"rhumb.db", "rhumb.db-wal"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, files[name]) {
			t.Errorf("%s was changed (%v)", name, err)
		}
	}
}
