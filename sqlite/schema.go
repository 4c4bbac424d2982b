package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"rhumb"
)

// applicationID marks the file as rhumb's ("rhmb").
const applicationID = 0x72686d62

// migrations bring a database from version i to i+1. A released migration never changes.
var migrations = []string{`
CREATE TABLE stacks (
	name    TEXT PRIMARY KEY,
	current INTEGER NOT NULL DEFAULT 0, -- the release that serves
	last    INTEGER NOT NULL DEFAULT 0, -- the highest number given; never goes back
	gone    INTEGER NOT NULL DEFAULT 0  -- taken down or removed: only last counts
) STRICT;
CREATE TABLE releases (
	stack  TEXT NOT NULL REFERENCES stacks(name),
	number INTEGER NOT NULL,
	served INTEGER NOT NULL DEFAULT 0,
	info   TEXT NOT NULL, -- rhumb.ReleaseInfo
	model  BLOB NOT NULL, -- rhumb.Stack, sealed
	PRIMARY KEY (stack, number)
) STRICT;
CREATE TABLE deployments (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	stack    TEXT NOT NULL REFERENCES stacks(name),
	rev      INTEGER NOT NULL,
	open     INTEGER NOT NULL,
	record   TEXT NOT NULL, -- rhumb.Deployment without its failures
	failures BLOB           -- sealed
) STRICT;
CREATE UNIQUE INDEX deployments_open ON deployments (stack) WHERE open = 1;
CREATE INDEX deployments_stack ON deployments (stack, id);
CREATE TABLE events (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	at         INTEGER NOT NULL, -- nanoseconds since 1970
	stack      TEXT NOT NULL,
	deployment INTEGER NOT NULL,
	record     TEXT NOT NULL, -- rhumb.Event without its failure
	failure    BLOB           -- sealed
) STRICT;
CREATE INDEX events_stack ON events (stack, id);
CREATE TABLE kept_values (
	name    TEXT PRIMARY KEY,
	content BLOB NOT NULL -- sealed
) STRICT;
CREATE TABLE settings (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
CREATE TABLE seal_check (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	content BLOB NOT NULL -- opens with the right key
) STRICT;`,
	// Each setting has a scope, a stack's or the daemon's (''), so that a stack's settings can be removed with it.
	// Settings were named "addresses/STACK/NETWORK" and "post_start/STACK" before; those of stacks that are down are
	// dropped.
	`
ALTER TABLE settings RENAME TO flat;
CREATE TABLE settings (
	stack TEXT NOT NULL, -- '': the daemon's own
	key   TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (stack, key)
) STRICT;
INSERT INTO settings
	SELECT name, 'addresses/' || substr(key, length('addresses/' || name || '/') + 1), value FROM flat JOIN stacks
		ON key GLOB 'addresses/*' AND substr(key, 1, length('addresses/' || name || '/')) = 'addresses/' || name || '/'
		WHERE gone = 0
	UNION ALL SELECT name, 'post_start', value FROM flat JOIN stacks ON key = 'post_start/' || name WHERE gone = 0
	UNION ALL SELECT '', key, value FROM flat WHERE key NOT GLOB 'addresses/*' AND key NOT GLOB 'post_start/*';
DROP TABLE flat;`,
}

// check checks the file, brings its schema up to date, and tries the key and the records that it sealed.
func (s *Store) check(ctx context.Context, version int) error {
	if err := s.lookThrough(ctx, s.write); err != nil {
		return err
	}
	if version < len(migrations) {
		err := s.update(ctx, "bring the database up to date", func(tx *sql.Tx) error {
			return migrate(ctx, tx, len(migrations))
		})
		if err != nil {
			return err
		}
	}
	if err := s.tryKey(ctx); err != nil {
		return err
	}
	return s.tryRecords(ctx)
}

// lookThrough returns Internal if the file is damaged.
func (s *Store) lookThrough(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return s.fault("check the database", err)
	}
	if verdict != "ok" {
		return s.damaged(errors.New(strings.Join(strings.Fields(verdict), " ")))
	}
	return nil
}

// identify returns the schema's version, 0 for an empty file. It refuses a file that isn't rhumb's or is too new. It
// uses a connection of its own, because the others first switch the file to WAL.
func (s *Store) identify(ctx context.Context) (version int, err error) {
	db, err := sql.Open("sqlite", dsn(s.path, "busy_timeout(10000)"))
	if err != nil {
		return 0, s.fault("open the database "+s.path, err)
	}
	defer db.Close()
	var id, tables int
	for query, into := range map[string]*int{
		"PRAGMA application_id": &id, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_master": &tables,
	} {
		if err := db.QueryRowContext(ctx, query).Scan(into); err != nil {
			return 0, s.fault("open the database "+s.path, err)
		}
	}
	switch {
	case id != applicationID && (tables > 0 || version > 0):
		return 0, rhumb.Errorf(rhumb.Invalid, "database %s is not rhumb's", s.path).WithHint("name another --data folder")
	case version > len(migrations):
		return 0, rhumb.Errorf(rhumb.Unsupported,
			"database %s was written by a newer rhumb: schema %d, and this one knows %d", s.path, version, len(migrations)).
			WithHint("install that version again, or restore a backup from before the upgrade")
	}
	return version, nil
}

// migrate brings the database to a version. It reads the current one again: another process may have been faster.
func migrate(ctx context.Context, tx *sql.Tx, to int) error {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < to; version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return fmt.Errorf("to schema %d: %w", version+1, err)
		}
	}
	pragmas := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, version)
	_, err := tx.ExecContext(ctx, pragmas)
	return err
}

// tryKey finds a wrong key file at the start, not at the first rollback.
func (s *Store) tryKey(ctx context.Context) error {
	return s.update(ctx, "try the key", func(tx *sql.Tx) error {
		var sealed []byte
		err := tx.QueryRowContext(ctx, "SELECT content FROM seal_check").Scan(&sealed)
		if err == nil {
			if err := s.vault.open("the key check", sealed, new(string)); err != nil {
				return wrap(err, "database %s can't be opened with this key", s.path)
			}
			return nil
		}
		if err != sql.ErrNoRows {
			return err
		}
		if sealed, err = s.vault.seal("the key check", ""); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO seal_check (one, content) VALUES (1, ?)", sealed)
		return err
	})
}
