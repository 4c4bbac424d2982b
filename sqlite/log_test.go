package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rhumb"
	"rhumb/sqlite"
	"rhumb/sqlite/storetest"
)

// crashed returns the files of a store whose daemon was killed, with what it had done still in the log.
func crashed(t *testing.T) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	deploy(t, s)
	deploy(t, s)
	if _, err := s.Begin(t.Context(), storetest.Release("shop", "web:1"), storetest.Deployment("shop")); err != nil {
		t.Fatal(err)
	}
	filler := make([]byte, 60_000)
	rand.Read(filler) // it is compressed
	if err := s.SetValue(t.Context(), "filler", filler); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Append(t.Context(), rhumb.Event{Kind: rhumb.EventStarted, Stack: "shop"}); err != nil {
			t.Fatal(err)
		}
	}
	files := map[string][]byte{}
	for _, name := range []string{"key", "rhumb.db", "rhumb.db-wal", "rhumb.db-shm"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	if len(files["rhumb.db-wal"]) < 50_000 {
		t.Fatalf("the log has only %d bytes", len(files["rhumb.db-wal"]))
	}
	return files
}

// reopened opens a copy of the files.
func reopened(t *testing.T, files map[string][]byte) (dir string, releases int, err error) {
	t.Helper()
	dir, err = os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := sqlite.Open(filepath.Join(dir, "rhumb.db"), box(t, dir))
	if err != nil {
		return dir, 0, err
	}
	defer s.Close()
	list, err := s.Releases(t.Context(), "shop")
	return dir, len(list), err
}

// lossless checks that files that were damaged are refused and kept, or hold all that was stored. It reports whether
// they were refused.
func lossless(t *testing.T, what string, files map[string][]byte) bool {
	t.Helper()
	dir, releases, err := reopened(t, files)
	if err == nil {
		if releases != 3 {
			t.Errorf("%s: it opens with %d releases of 3", what, releases)
		}
		return false
	}
	if !strings.Contains(err.Error(), filepath.Join(dir, "rhumb.db")) || rhumb.ErrorHint(err) == "" {
		t.Errorf("%s: the error doesn't name the file and what to do: %v", what, err)
	}
	for _, name := range []string{"rhumb.db", "rhumb.db-wal"} {
		b, readErr := os.ReadFile(filepath.Join(dir, name))
		if files[name] != nil && (readErr != nil || !bytes.Equal(b, files[name])) {
			t.Errorf("%s: %s was changed (%v); the error was %v", what, name, readErr, err)
		}
	}
	return true
}

func TestALogThatWasDamagedIsRefusedAndKept(t *testing.T) {
	whole := crashed(t)
	lossless(t, "untouched", whole)
	if _, releases, err := reopened(t, whole); err != nil || releases != 3 {
		t.Fatalf("untouched it returns %d releases, %v", releases, err)
	}
	log := whole["rhumb.db-wal"]
	damage := func(what string, b []byte) {
		t.Helper()
		files := map[string][]byte{}
		for name, content := range whole {
			files[name] = content
		}
		files["rhumb.db-wal"] = b
		lossless(t, what, files)
	}
	for _, at := range spread(len(log)) {
		flipped := bytes.Clone(log)
		flipped[at] ^= 1
		damage("a flipped bit in byte "+itoa(at), flipped)
		damage("cut at "+itoa(at), log[:at])
	}
	damage("gone", nil)
}

func TestALogThatIsDamagedInItsMidstIsRefusedWithoutItsIndexToo(t *testing.T) {
	files := crashed(t)
	delete(files, "rhumb.db-shm") // as a copy of the folder may be
	if _, releases, err := reopened(t, files); err != nil || releases != 3 {
		t.Fatalf("untouched it returns %d releases, %v", releases, err)
	}
	log := files["rhumb.db-wal"]
	refused := 0
	for _, at := range spread(len(log)) {
		flipped := bytes.Clone(log)
		flipped[at] ^= 1
		files["rhumb.db-wal"] = flipped
		if lossless(t, "a flipped bit in byte "+itoa(at), files) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("none was refused")
	}
}

func TestTheRemainsOfATransactionThatWasCutOffAreNoDamage(t *testing.T) {
	files := crashed(t)
	delete(files, "rhumb.db-shm")
	log := files["rhumb.db-wal"]
	const frame = 24 + 4096
	last := log[len(log)-frame:] // an event's last page, with its commit
	torn := bytes.Clone(last)
	torn[100] ^= 1 // the power failed while it was written
	files["rhumb.db-wal"] = slices.Concat(log[:len(log)-frame], torn)
	if _, releases, err := reopened(t, files); err != nil || releases != 3 {
		t.Errorf("it returns %d releases, %v", releases, err)
	}
}

func TestWhatADeploymentDidIsInTheDatabaseOnceItHasEnded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 3 {
		deploy(t, s)
	}
	files := map[string][]byte{}
	for _, name := range []string{"key", "rhumb.db"} { // without the log
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	if _, releases, err := reopened(t, files); err != nil || releases != 3 {
		t.Errorf("it returns %d releases, %v", releases, err)
	}
}

func TestADatabaseThatWasCutIsRefusedAndKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 3 {
		deploy(t, s)
	}
	s.Close()
	files := map[string][]byte{}
	for _, name := range []string{"key", "rhumb.db"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	whole := files["rhumb.db"]
	for _, at := range append(spread(len(whole)), 4096, 8192) {
		files["rhumb.db"] = whole[:at]
		lossless(t, "cut at "+itoa(at), files)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// spread returns offsets all over a file: all of its beginning, and some of each part of the rest.
func spread(size int) []int {
	var at []int
	for i := 0; i < size; i += 1 + i/8 + 1501*min(1, i/60) {
		at = append(at, i)
	}
	return append(at, size-1)
}
