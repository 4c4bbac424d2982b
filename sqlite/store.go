// Package sqlite keeps rhumb's state in one SQLite file: rhumb.Store. One connection writes, a few read. Models, kept
// values and failure cards hold values of the user, and are sealed before they reach the file.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver

	"rhumb"
)

const (
	readers      = 4
	openTimeout  = time.Minute // for checking and migrating the file
	emptyTimeout = time.Minute // for moving the log into the file
	busyTimeout  = "10000"     // milliseconds to wait for a lock of another process
)

// Sealer encrypts what must not be on disk in clear.
type Sealer interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// Store is a rhumb.Store in one file. Its methods are safe for concurrent use, also by several processes.
type Store struct {
	path  string
	write *sql.DB // one connection: writers queue here, not in SQLite
	read  *sql.DB
	vault vault
}

var _ rhumb.Store = (*Store)(nil)

// Open opens the database at path, or creates it with mode 0600. After an error the file is as it was.
// Internal: it is damaged, or sealed with another key. Invalid: it isn't rhumb's. Unsupported: a newer rhumb wrote it.
// Unavailable: it can't be read or written.
func Open(path string, box Sealer) (*Store, error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	s := &Store{path: path, vault: vault{box}}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	version, err := s.identify(ctx)
	if err != nil {
		return nil, err
	}
	pragmas := []string{
		"busy_timeout(" + busyTimeout + ")", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)",
	}
	if s.write, err = sql.Open("sqlite", dsn(path, pragmas...)+"&_txlock=immediate"); err == nil {
		s.write.SetMaxOpenConns(1)
		s.read, err = sql.Open("sqlite", dsn(path, append(pragmas, "query_only(1)")...))
	}
	if err != nil {
		return nil, s.fault("open the database "+path, err)
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.check(ctx, version); err != nil {
		_ = s.Close() // the first error matters
		return nil, err
	}
	s.emptyLog(ctx)
	return s, nil
}

// Close closes the file. The store must not be used afterwards.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} { // the writer last: closing it moves the log into the file
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// prepare creates folder and file with narrow permissions. SQLite's side files inherit them. A truncated file is
// damaged.
func (s *Store) prepare(ctx context.Context) error {
	failed := func(err error) error {
		return rhumb.Errorf(rhumb.Unavailable, "database %s can't be opened: %w", s.path, err).
			WithHint("check the disk and the permissions of its folder")
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return failed(err)
	}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.create(ctx); err != nil {
			return failed(err)
		}
		info, err = os.Stat(s.path)
	}
	switch {
	case err != nil:
		return failed(err)
	case !info.Mode().IsRegular():
		return failed(errors.New("it is not a regular file"))
	case info.Size() < smallest:
		return s.damaged(fmt.Errorf("it has only %d bytes", info.Size()))
	}
	for _, name := range []string{s.path, s.path + "-wal", s.path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(err)
		}
	}
	return s.checkLog()
}

// smallest is the size of the smallest page that a database can consist of.
const smallest = 512

// create makes the file with rhumb's application ID, whole or not at all. An empty file is therefore a damaged one.
func (s *Store) create(ctx context.Context) error {
	f, err := os.CreateTemp(filepath.Dir(s.path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	db, err := sql.Open("sqlite", dsn(f.Name()))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), s.path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // another process was faster
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// update runs f in a transaction. It is on disk when update returns nil.
func (s *Store) update(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.fault(what, err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the first error matters
		return s.fault(what, err)
	}
	if err := tx.Commit(); err != nil {
		return s.fault(what, err)
	}
	return nil
}

// view runs f in a transaction that only reads, and sees one state of the database.
func (s *Store) view(ctx context.Context, what string, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return s.fault(what, err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	if err := f(tx); err != nil {
		return s.fault(what, err)
	}
	return nil
}

// each runs a query and calls f with the Scan of every row.
func each(ctx context.Context, tx *sql.Tx, f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
