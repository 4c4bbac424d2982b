package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// Setting returns a setting of a stack, or of the daemon where stack is ""; "" if it is not there.
func (s *Store) Setting(ctx context.Context, stack, key string) (value string, err error) {
	err = s.view(ctx, "read setting "+key, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT value FROM settings WHERE stack = ? AND key = ?", stack, key).Scan(&value)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return value, err
}

// SetSetting stores a setting in place of the one with that key.
func (s *Store) SetSetting(ctx context.Context, stack, key, value string) error {
	return s.update(ctx, "store setting "+key, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (stack, key, value) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, stack, key, value)
		return err
	})
}

// RemoveSetting removes a setting. A setting that is not there is not an error.
func (s *Store) RemoveSetting(ctx context.Context, stack, key string) error {
	return s.update(ctx, "remove setting "+key, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM settings WHERE stack = ? AND key = ?", stack, key)
		return err
	})
}
