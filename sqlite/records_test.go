package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
	"rhumb/sqlite"
	"rhumb/sqlite/storetest"
)

func TestATamperedRecordIsRefusedAtOpening(t *testing.T) {
	flip := func(table, column string) string {
		return strings.NewReplacer("TABLE", table, "COLUMN", column).Replace(`UPDATE TABLE SET COLUMN =
			CAST(substr(COLUMN, 1, length(COLUMN)-1) || iif(substr(COLUMN, -1) = x'00', x'01', x'00') AS BLOB)`)
	}
	for name, c := range map[string]struct{ change, says string }{
		"a model": {flip("releases", "model") + " WHERE number = 1", "release shop@1"},
		"a value": {flip("kept_values", "content"), "value token"},
		"another value's": {`UPDATE kept_values SET content = (SELECT content FROM kept_values WHERE name = 'other')
			WHERE name = 'token'`, "value token"},
		"a deployment's failure": {flip("deployments", "failures") + " WHERE id = 2", "deployment 2's failures"},
		"an event's failure":     {flip("events", "failure"), "an event's failure"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			deploy(t, s)
			deploy(t, s)
			for _, value := range []string{"token", "other"} {
				if err := s.SetValue(t.Context(), value, []byte("content of "+value)); err != nil {
					t.Fatal(err)
				}
			}
			failure := storetest.Failure()
			e := rhumb.Event{Kind: rhumb.EventFailed, Stack: "shop", Failure: &failure}
			if _, err := s.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			s.Close()
			again, err := sqlite.Open(filepath.Join(dir, "rhumb.db"), box(t, dir))
			if err != nil {
				t.Fatalf("untouched, it is refused: %v", err)
			}
			again.Close()
			raw(t, dir, c.change)
			refused(t, dir, rhumb.Internal, c.says)
		})
	}
}

func TestADamagedRecordInClearIsReportedByNameAndWithWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		change, subject string
		read            func(*sqlite.Store) error
	}{
		"a release of a list": {`UPDATE releases SET info = '{"By"*1}'`, "list the releases of shop",
			func(s *sqlite.Store) error {
				_, err := s.Releases(t.Context(), "shop")
				return err
			}},
		"a release": {`UPDATE releases SET info = '{"At":"yesterday"}'`, "read release shop@1", func(s *sqlite.Store) error {
			_, err := s.Release(t.Context(), "shop", 1)
			return err
		}},
		"a deployment": {"UPDATE deployments SET record = '[]'", "deployment 1", func(s *sqlite.Store) error {
			_, err := s.Deployment(t.Context(), "shop", 0)
			return err
		}},
		"an event": {`UPDATE events SET record = '{"Kind":7}'`, "event 1", func(s *sqlite.Store) error {
			_, err := s.Events(t.Context(), rhumb.EventFilter{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			deploy(t, s)
			if _, err := s.Append(t.Context(), rhumb.Event{Kind: rhumb.EventStarted, Stack: "shop"}); err != nil {
				t.Fatal(err)
			}
			if err := c.read(s); err != nil {
				t.Fatalf("undamaged: %v", err)
			}
			raw(t, dir, c.change)
			err := c.read(s)
			if rhumb.ErrorCode(err) != rhumb.Internal ||
				!strings.Contains(err.Error(), filepath.Join(dir, "rhumb.db")+" is damaged") ||
				!strings.Contains(err.Error(), c.subject) || rhumb.ErrorHint(err) == "" {
				t.Errorf("got %v; hint: %s", err, rhumb.ErrorHint(err))
			}
		})
	}
}
