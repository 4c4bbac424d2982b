package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"rhumb"
)

const (
	keepEvents = 10_000
	pruneEvery = 500 // appends; the table has at most keepEvents+pruneEvery rows
)

// Append stores an event and returns it with its ID. Progress of a pull is not stored and keeps the ID 0.
func (s *Store) Append(ctx context.Context, e rhumb.Event) (rhumb.Event, error) {
	if e.Kind == rhumb.EventPull {
		return e, nil
	}
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	err := s.update(ctx, "append an event", func(tx *sql.Tx) error {
		clear := e
		clear.Failure = nil
		record, err := json.Marshal(clear)
		if err != nil {
			return err
		}
		var failure []byte
		if e.Failure != nil {
			if failure, err = s.vault.seal("an event's failure", e.Failure); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, "INSERT INTO events (at, stack, deployment, record, failure) VALUES (?, ?, ?, ?, ?)",
			e.At.UnixNano(), e.Stack, e.Deployment, string(record), failure)
		if err != nil {
			return err
		}
		if e.ID, err = res.LastInsertId(); err != nil {
			return err
		}
		if e.ID%pruneEvery == 0 {
			_, err = tx.ExecContext(ctx, "DELETE FROM events WHERE id <= ?", e.ID-keepEvents)
		}
		return err
	})
	if err != nil {
		return rhumb.Event{}, err
	}
	return e, nil
}

// Events returns stored events, oldest first. It ignores f.Follow.
func (s *Store) Events(ctx context.Context, f rhumb.EventFilter) (list []rhumb.Event, err error) {
	limit, since := f.Limit, int64(math.MinInt64)
	if limit <= 0 {
		limit = -1
	}
	if !f.Since.IsZero() {
		since = f.Since.UnixNano()
	}
	err = s.view(ctx, "list events", func(tx *sql.Tx) error {
		return each(ctx, tx, func(scan func(...any) error) error {
			e, err := s.decodeEvent(scan)
			list = append(list, e)
			return err
		}, `SELECT id, record, failure FROM events
			WHERE id > ?1 AND at >= ?2 AND (stack = ?3 OR ?3 = '') AND (deployment = ?4 OR ?4 = 0)
			ORDER BY id DESC LIMIT ?5`, f.After, since, f.Stack, f.Deployment, limit)
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(list)
	return list, nil
}

func (s *Store) decodeEvent(scan func(...any) error) (e rhumb.Event, err error) {
	var id int64
	var record, failure []byte
	if err := scan(&id, &record, &failure); err != nil {
		return e, err
	}
	if err := unpack(record, &e); err != nil {
		return e, fmt.Errorf("event %d: %w", id, err)
	}
	e.ID = id
	if failure != nil {
		err = s.vault.open("an event's failure", failure, &e.Failure)
	}
	return e, err
}
