package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"rhumb"
)

// Value returns a value's content. NotFound: there is no such value.
func (s *Store) Value(ctx context.Context, name string) (content []byte, err error) {
	err = s.view(ctx, "read value "+name, func(tx *sql.Tx) error {
		var sealed []byte
		err := tx.QueryRowContext(ctx, "SELECT content FROM kept_values WHERE name = ?", name).Scan(&sealed)
		if errors.Is(err, sql.ErrNoRows) {
			return rhumb.Errorf(rhumb.NotFound, "there is no value %q", name).WithHint("set it first")
		}
		if err != nil {
			return err
		}
		return s.vault.open("value "+name, sealed, &content)
	})
	return content, err
}

// SetValue stores a value, sealed, in place of the one with that name. Invalid: the name is empty.
func (s *Store) SetValue(ctx context.Context, name string, content []byte) error {
	if name == "" {
		return rhumb.Errorf(rhumb.Invalid, "a value needs a name")
	}
	sealed, err := s.vault.seal("value "+name, content)
	if err != nil {
		return s.fault("set value "+name, err)
	}
	return s.update(ctx, "set value "+name, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO kept_values (name, content) VALUES (?, ?)
			ON CONFLICT DO UPDATE SET content = excluded.content`, name, sealed)
		return err
	})
}

// RemoveValue removes a value. A value that is not there is not an error.
func (s *Store) RemoveValue(ctx context.Context, name string) error {
	return s.update(ctx, "remove value "+name, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM kept_values WHERE name = ?", name)
		return err
	})
}

// Values returns the names of all values, sorted.
func (s *Store) Values(ctx context.Context) (names []string, err error) {
	err = s.view(ctx, "list the values", func(tx *sql.Tx) error {
		return each(ctx, tx, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		}, "SELECT name FROM kept_values ORDER BY name")
	})
	return names, err
}
