package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"rhumb"
)

// Stacks returns the stacks that have been deployed and not taken down, sorted by name.
func (s *Store) Stacks(ctx context.Context) (list []rhumb.StackState, err error) {
	err = s.view(ctx, "list the stacks", func(tx *sql.Tx) error {
		return each(ctx, tx, func(scan func(...any) error) error {
			var st rhumb.StackState
			if err := scan(&st.Name, &st.Current, &st.Last, &st.Open); err != nil {
				return err
			}
			list = append(list, st)
			return nil
		}, stateQuery+" WHERE gone = 0 ORDER BY name")
	})
	return list, err
}

// StackState returns where a stack stands. For an unknown stack it has nothing but the name.
func (s *Store) StackState(ctx context.Context, name string) (st rhumb.StackState, err error) {
	err = s.view(ctx, "look at stack "+name, func(tx *sql.Tx) error {
		st, err = state(ctx, tx, name)
		return err
	})
	return st, err
}

// RemoveStack removes the releases and settings of a stack that is down. Its deployments and its last number stay.
// Conflict: a release serves, or a deployment is open. An unknown stack is not an error.
func (s *Store) RemoveStack(ctx context.Context, name string) error {
	if name == "" { // the scope of the daemon's own settings
		return rhumb.Errorf(rhumb.Invalid, "the stack to remove has no name")
	}
	return s.update(ctx, "remove stack "+name, func(tx *sql.Tx) error {
		st, err := state(ctx, tx, name)
		if err != nil {
			return err
		}
		if st.Open != 0 {
			return rhumb.Errorf(rhumb.Conflict, "stack %s can't be removed: deployment %d is going on", name, st.Open)
		}
		if st.Current != 0 {
			return rhumb.Errorf(rhumb.Conflict, "stack %s can't be removed: release %d serves", name, st.Current).
				WithHint("take it down first: rhumb down -p %s", name)
		}
		for _, table := range []string{"releases", "settings"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE stack = ?", name); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, "UPDATE stacks SET gone = 1 WHERE name = ?", name)
		return err
	})
}

const stateQuery = `SELECT name, current, last,
	coalesce((SELECT id FROM deployments d WHERE d.stack = name AND d.open = 1), 0) FROM stacks`

func state(ctx context.Context, tx *sql.Tx, name string) (rhumb.StackState, error) {
	var st rhumb.StackState
	err := tx.QueryRowContext(ctx, stateQuery+" WHERE name = ?", name).Scan(&st.Name, &st.Current, &st.Last, &st.Open)
	if errors.Is(err, sql.ErrNoRows) {
		return rhumb.StackState{Name: name}, nil
	}
	return st, err
}
