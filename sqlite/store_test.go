package sqlite_test

import (
	"bytes"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
	"rhumb/internal/seal"
	"rhumb/sqlite"
	"rhumb/sqlite/storetest"
)

func TestTheContractOfAStoreHolds(t *testing.T) {
	storetest.Run(t, func(t *testing.T) rhumb.Store { return open(t, t.TempDir()) })
}

func box(t testing.TB, dir string) *seal.Box {
	t.Helper()
	b, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(filepath.Join(dir, "rhumb.db"), box(t, dir))
	if err != nil {
		t.Fatalf("%v (hint: %s)", err, rhumb.ErrorHint(err))
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func deploy(t testing.TB, s *sqlite.Store) {
	t.Helper()
	d, err := s.Begin(t.Context(), storetest.Release("shop", "web:1"), storetest.Deployment("shop"))
	if err != nil {
		t.Fatal(err)
	}
	d.Failures = []rhumb.Failure{storetest.Failure()}
	if err := d.Move(rhumb.PhaseConverged, d.Started, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func TestNoValueIsInAnyFileInClear(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	deploy(t, s)
	if err := s.SetValue(t.Context(), "db", []byte("canary-value")); err != nil {
		t.Fatal(err)
	}
	f := storetest.Failure()
	if _, err := s.Append(t.Context(), rhumb.Event{Kind: rhumb.EventFailed, Stack: "shop", Failure: &f}); err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		files := 0
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte("canary")) {
				t.Errorf("%s: %s holds a canary", when, e.Name())
			}
			if info, _ := e.Info(); info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s has mode %v", when, e.Name(), info.Mode())
			}
			return err
		})
		if err != nil || files < 2 {
			t.Fatalf("%s: %d files, %v", when, files, err)
		}
	}
	look("while it is open")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look("after it was closed")
}

func TestATamperedOrSwappedModelIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"a flipped bit": `UPDATE releases SET model = CAST(substr(model, 1, length(model)-1) || x'00' AS BLOB)
			WHERE number = 1`,
		"cut short":       "UPDATE releases SET model = substr(model, 1, 300) WHERE number = 1",
		"empty":           "UPDATE releases SET model = x'' WHERE number = 1",
		"another's model": "UPDATE releases SET model = (SELECT model FROM releases WHERE number = 2) WHERE number = 1",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			deploy(t, s)
			deploy(t, s)
			raw(t, dir, change)
			_, err := s.Release(t.Context(), "shop", 1)
			if rhumb.ErrorCode(err) != rhumb.Internal || !strings.Contains(err.Error(), "release shop@1") ||
				rhumb.ErrorHint(err) == "" {
				t.Fatalf("got %v (hint %q)", err, rhumb.ErrorHint(err))
			}
			t.Log(err)
			if _, err := s.Release(t.Context(), "shop", 2); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func raw(t *testing.T, dir, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "rhumb.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, dir string, code rhumb.Code, words ...string) {
	t.Helper()
	path := filepath.Join(dir, "rhumb.db")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(path, box(t, dir))
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	text := err.Error() + " / " + rhumb.ErrorHint(err)
	for _, w := range append(words, path) {
		if rhumb.ErrorCode(err) != code || !strings.Contains(text, w) {
			t.Fatalf("got %q: %s; want %q with %q", rhumb.ErrorCode(err), text, code, w)
		}
	}
	if rhumb.ErrorHint(err) == "" {
		t.Fatalf("no hint: %v", err)
	}
	t.Log(text)
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Fatal("the file was changed")
	}
}

func TestADamagedFileIsRefusedAndKept(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"not a database": func([]byte) []byte { return []byte(strings.Repeat("hello world ", 1000)) },
		"cut":            func(b []byte) []byte { return b[:len(b)/2] },
		"zeroed pages": func(b []byte) []byte {
			clear(b[4096 : 4096*6])
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			deploy(t, s)
			s.Close()
			path := filepath.Join(dir, "rhumb.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, rhumb.Internal, "damaged", "backup")
			_, err = sqlite.Copy(t.Context(), path)
			if rhumb.ErrorCode(err) != rhumb.Internal || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("a copy: %v", err)
			}
		})
	}
}

func TestADatabaseOfANewerRhumbIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	raw(t, dir, "PRAGMA user_version = 999")
	refused(t, dir, rhumb.Unsupported, "newer rhumb", "999")
}

func TestAnotherProgramsDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	raw(t, dir, "CREATE TABLE t (a)")
	refused(t, dir, rhumb.Invalid, "not rhumb's")
}

func TestAnotherKeyIsRefusedAtOpening(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Close()
	if err := os.Rename(filepath.Join(dir, "key"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, rhumb.Internal, "another key", "key file")
}

func TestTheLastTenThousandEventsAreKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	raw(t, dir, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12345)
		INSERT INTO events (at, stack, deployment, record) SELECT i, 'shop', 0, '{"Kind":"ready"}' FROM n`)
	var last int64
	for range 500 {
		e, err := s.Append(t.Context(), rhumb.Event{Kind: rhumb.EventReady, Stack: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		last = e.ID
	}
	got, err := s.Events(t.Context(), rhumb.EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 10_000 || len(got) > 10_500 || got[len(got)-1].ID != last {
		t.Fatalf("%d events are kept, the last is %d of %d", len(got), got[len(got)-1].ID, last)
	}
}

func TestTheLastFiveHundredDeploymentsAreKept(t *testing.T) {
	s := open(t, t.TempDir())
	for range 503 {
		d, err := s.Begin(t.Context(), nil, rhumb.Deployment{Stack: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Move(rhumb.PhaseConverged, d.Started, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Save(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Deployments(t.Context(), "shop", 0)
	if err != nil || len(list) != 500 || list[0].ID != 503 || list[499].ID != 4 {
		t.Errorf("%d are kept, %v", len(list), err)
	}
}

func TestAnyPathCanHoldADatabase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%41&ü")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	deploy(t, s)
	s.Close()
	if info, err := os.Stat(filepath.Join(dir, "rhumb.db")); err != nil || info.Size() == 0 {
		t.Fatalf("%v, %v", info, err)
	}
	t.Chdir(dir)
	relative, err := sqlite.Open("rhumb.db", box(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer relative.Close()
	if st, err := relative.StackState(t.Context(), "shop"); err != nil || st.Current != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
}

func TestTwoStoresOnOneFileShareTheLock(t *testing.T) {
	dir := t.TempDir()
	one, two := open(t, dir), open(t, dir)
	if _, err := one.Begin(t.Context(), storetest.Release("shop", "a"), storetest.Deployment("shop")); err != nil {
		t.Fatal(err)
	}
	_, err := two.Begin(t.Context(), storetest.Release("shop", "b"), storetest.Deployment("shop"))
	if rhumb.ErrorCode(err) != rhumb.Locked {
		t.Fatalf("got %v", err)
	}
}

func BenchmarkSavingADeployment(b *testing.B) {
	s := open(b, b.TempDir())
	d, err := s.Begin(b.Context(), storetest.Release("shop", "web:1"), storetest.Deployment("shop"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d, err = s.Save(b.Context(), d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBeginningAndEndingADeployment(b *testing.B) {
	s := open(b, b.TempDir())
	for b.Loop() {
		deploy(b, s)
	}
}
