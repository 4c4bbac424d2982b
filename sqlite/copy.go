package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"rhumb"
)

// Schema returns the schema of this rhumb. Open migrates older ones to it and refuses newer ones.
func Schema() int { return len(migrations) }

// Held is what a database file holds.
type Held struct {
	Schema   int // 0: it is empty
	Releases int
}

// Peek looks into a database file without changing it; a daemon may be using it.
func Peek(ctx context.Context, path string) (Held, error) {
	var h Held
	s := &Store{path: path}
	err := s.reading(ctx, func(conn *sql.Conn) error {
		if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&h.Schema); err != nil || h.Schema == 0 {
			return err
		}
		return conn.QueryRowContext(ctx, "SELECT count(*) FROM releases").Scan(&h.Releases)
	})
	return h, err
}

// serializer is what the driver's connections offer for copies.
type serializer interface{ Serialize() ([]byte, error) }

// Copy returns a database file as it is at one moment, with what is still in its log. A daemon may write meanwhile. The
// copy is in memory and doesn't touch the disk. A damaged file is an error: the copy would only be missed when needed.
func Copy(ctx context.Context, path string) ([]byte, error) {
	var b []byte
	s := &Store{path: path}
	err := s.reading(ctx, func(conn *sql.Conn) error {
		if err := s.lookThrough(ctx, conn); err != nil {
			return err
		}
		return conn.Raw(func(driver any) error {
			c, ok := driver.(serializer)
			if !ok {
				return errors.New("the driver can't copy")
			}
			var err error
			b, err = c.Serialize() // in one read transaction
			return err
		})
	})
	if err == nil && len(b) == 0 {
		return nil, rhumb.Errorf(rhumb.NotFound, "database %s is empty", path)
	}
	return b, err
}

// reading calls f with a connection of its own to an existing file. The last connection moves the log into the file:
// a damaged log would go with what could still be read of it.
func (s *Store) reading(ctx context.Context, f func(*sql.Conn) error) error {
	if err := s.checkLog(); err != nil {
		return err
	}
	// Not mode=ro: a dead daemon's log must be read.
	db, err := sql.Open("sqlite", dsn(s.path, "busy_timeout("+busyTimeout+")")+"&mode=rw")
	if err != nil {
		return s.fault("read the database "+s.path, err)
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return s.fault("read the database "+s.path, err)
	}
	defer func() { _ = conn.Close() }() // it only read
	if err := f(conn); err != nil {
		return s.fault("read the database "+s.path, err)
	}
	return nil
}
