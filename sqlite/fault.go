package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"rhumb"
)

// fault turns a foreign error into a rhumb.Error. A rhumb.Error stays as it is.
func (s *Store) fault(what string, err error) error {
	var own *rhumb.Error
	if errors.As(err, &own) {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return rhumb.Errorf(rhumb.Cancelled, "%s: cancelled: %w", what, err)
	case errors.Is(err, context.DeadlineExceeded):
		return rhumb.Errorf(rhumb.Timeout, "%s: the database did not answer in time: %w", what, err)
	}
	var e *driver.Error
	if errors.Is(err, errUnreadable) {
		return s.damaged(fmt.Errorf("%s: %w", what, err))
	}
	if !errors.As(err, &e) {
		return rhumb.Errorf(rhumb.Internal, "%s: %w", what, err)
	}
	switch e.Code() & 0xff { // without the extended part
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return s.damaged(err)
	case lib.SQLITE_INTERRUPT:
		return rhumb.Errorf(rhumb.Cancelled, "%s: cancelled: %w", what, err)
	case lib.SQLITE_FULL:
		return rhumb.Errorf(rhumb.Unavailable, "%s: the disk is full: %w", what, err).WithHint("make room beside %s", s.path)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return rhumb.Errorf(rhumb.Unavailable, "%s: another process keeps the database %s locked: %w", what, s.path, err).
			WithHint("is a second rhumb server running on the same data folder?")
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY:
		return rhumb.Errorf(rhumb.Unavailable, "%s: the database %s can't be read or written: %w", what, s.path, err).
			WithHint("check the disk and the permissions of its folder")
	default:
		return rhumb.Errorf(rhumb.Internal, "%s: %w", what, err)
	}
}

// errUnreadable is the error for a record that is not as it was written.
var errUnreadable = errors.New("it can't be read")

// unpack decodes a record that is stored in clear.
func unpack(record []byte, into any) error {
	if err := json.Unmarshal(record, into); err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return nil
}

func (s *Store) damaged(err error) *rhumb.Error {
	return rhumb.Errorf(rhumb.Internal, "database %s is damaged, or isn't a database: %w", s.path, err).
		WithHint("rhumb left it as it is. Put a backup in its place; "+
			"or save what can be read with: sqlite3 %s .recover > rescued.sql; "+
			"or move it and its -wal and -shm files away to start without history", s.path)
}
