package sqlite

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"rhumb/internal/seal"
)

// older makes a database as the first n migrations leave it, and fills it.
func older(t *testing.T, path string, n int, fill string) {
	t.Helper()
	s := &Store{path: path}
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s.write = db
	err = s.update(t.Context(), "make an older database", func(tx *sql.Tx) error {
		if err := migrate(t.Context(), tx, n); err != nil {
			return err
		}
		_, err := tx.ExecContext(t.Context(), fill)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSettingsOfAnOlderDatabaseMoveToTheirStacks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rhumb.db")
	older(t, path, 1, `
		INSERT INTO stacks (name, current, last, gone) VALUES ('shop', 1, 1, 0), ('shop-2', 1, 1, 0), ('old', 0, 3, 1);
		INSERT INTO settings (key, value) VALUES
			('addresses/shop/shop_default', 'page 1'), ('addresses/shop/shop_back', 'page 2'),
			('addresses/shop-2/shop-2_default', 'page 3'),
			('addresses/old/old_default', 'dropped'), ('addresses/never/x', 'dropped'),
			('post_start/shop', 'hooks'), ('post_start/old', 'dropped'),
			('port/shop/web//80/tcp/0-0', '30001'), ('port/old/web//80/tcp/0-0', '30002'),
			('port owner/30001/tcp', 'port/shop/web//80/tcp/0-0'),
			('postXstart/shop', 'another')`)
	box, err := seal.Open(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[[2]string]string{
		{"shop", "addresses/shop_default"}:     "page 1",
		{"shop", "addresses/shop_back"}:        "page 2",
		{"shop-2", "addresses/shop-2_default"}: "page 3",
		{"shop", "post_start"}:                 "hooks",
		{"", "port/shop/web//80/tcp/0-0"}:      "30001",
		{"", "port/old/web//80/tcp/0-0"}:       "30002",
		{"", "port owner/30001/tcp"}:           "port/shop/web//80/tcp/0-0",
		{"", "postXstart/shop"}:                "another",
	}
	for range 2 { // the second time there is nothing to migrate
		s, err := Open(path, box)
		if err != nil {
			t.Fatal(err)
		}
		got := settingsOf(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%d settings, want %d: %v", len(got), len(want), got)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%q: %q, want %q", k, got[k], v)
			}
		}
	}
}

// settingsOf returns all settings, by stack and key.
func settingsOf(t *testing.T, s *Store) map[[2]string]string {
	t.Helper()
	all := map[[2]string]string{}
	err := s.view(t.Context(), "list the settings", func(tx *sql.Tx) error {
		return each(context.Background(), tx, func(scan func(...any) error) error {
			var stack, key, value string
			err := scan(&stack, &key, &value)
			all[[2]string{stack, key}] = value
			return err
		}, "SELECT stack, key, value FROM settings")
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
