package storetest

import (
	"path/filepath"
	"testing"

	"rhumb/internal/seal"
	"rhumb/sqlite"
)

// Open returns an empty SQLite store for a test of code that uses a store. The store is removed when the test ends.
func Open(t testing.TB) *sqlite.Store {
	t.Helper()
	dir := t.TempDir()
	box, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(filepath.Join(dir, "rhumb.db"), box)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
