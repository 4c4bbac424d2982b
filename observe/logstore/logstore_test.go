package logstore_test

import (
	"flag"
	"log/slog"
	"os"
	"testing"

	"rhumb/internal/parttest"
	"rhumb/observe/logstore"
	"rhumb/observe/observetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	logstore.Prepare(logstore.DefaultMemory, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	parttest.Play(allParts)
	os.Exit(m.Run())
}

var discard = slog.New(slog.DiscardHandler)

// reopen opens a store in a folder. The test closes it.
func reopen(t testing.TB, dir string) *logstore.Store {
	t.Helper()
	s, err := logstore.Open(dir, 0, discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens a store in a folder, which is closed at the test's end.
func open(t testing.TB, dir string) *logstore.Store {
	t.Helper()
	s := reopen(t, dir)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	observetest.Run(t, func(t *testing.T) observetest.Store { return open(t, t.TempDir()) })
}
