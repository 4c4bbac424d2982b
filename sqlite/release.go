package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"rhumb"
)

// Release returns a release with its model. NotFound: it isn't stored, or was removed.
func (s *Store) Release(ctx context.Context, stack string, number int) (r rhumb.Release, err error) {
	err = s.view(ctx, "read "+label(stack, number), func(tx *sql.Tx) error {
		var info, model []byte
		row := tx.QueryRowContext(ctx, releaseQuery+" AND number = ?", stack, number)
		err := row.Scan(&info, &model, &r.Served, &r.Current)
		if errors.Is(err, sql.ErrNoRows) {
			return noRelease(stack, number)
		}
		if err != nil {
			return err
		}
		if err := decodeInfo(info, &r.ReleaseInfo); err != nil {
			return err
		}
		return s.vault.open(label(stack, number), model, &r.Model)
	})
	if err != nil {
		return rhumb.Release{}, err
	}
	return r, nil
}

// Releases returns what is known of a stack's releases, newest first.
func (s *Store) Releases(ctx context.Context, stack string) (list []rhumb.ReleaseInfo, err error) {
	err = s.view(ctx, "list the releases of "+stack, func(tx *sql.Tx) error {
		return each(ctx, tx, func(scan func(...any) error) error {
			var r rhumb.ReleaseInfo
			var info []byte
			if err := scan(&info, new(sql.RawBytes), &r.Served, &r.Current); err != nil {
				return err
			}
			if err := decodeInfo(info, &r); err != nil {
				return err
			}
			list = append(list, r)
			return nil
		}, releaseQuery+" ORDER BY number DESC", stack)
	})
	return list, err
}

// RemoveRelease removes a release; the deployments to it stay. Conflict: it serves, or an open deployment needs it. A
// release that is not there is not an error.
func (s *Store) RemoveRelease(ctx context.Context, stack string, number int) error {
	return s.update(ctx, "remove "+label(stack, number), func(tx *sql.Tx) error {
		st, err := state(ctx, tx, stack)
		if err != nil {
			return err
		}
		if number != 0 && number == st.Current {
			return rhumb.Errorf(rhumb.Conflict, "%s can't be removed: it serves", label(stack, number))
		}
		if st.Open != 0 {
			d, err := s.deployment(ctx, tx, stack, st.Open)
			if err != nil {
				return err
			}
			if number == d.From || number == d.To {
				return rhumb.Errorf(rhumb.Conflict, "%s can't be removed: deployment %d needs it", label(stack, number), d.ID)
			}
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM releases WHERE stack = ? AND number = ?", stack, number)
		return err
	})
}

const releaseQuery = `SELECT info, model, served, current = number
	FROM releases JOIN stacks ON name = stack WHERE stack = ?`

// number numbers a new release and stores it.
func (s *Store) number(ctx context.Context, tx *sql.Tx, r *rhumb.Release, last int) error {
	r.Number = last + 1
	r.Served, r.Current = false, false
	info, err := json.Marshal(r.ReleaseInfo)
	if err != nil {
		return err
	}
	model, err := s.vault.seal(label(r.Stack, r.Number), r.Model)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO releases (stack, number, info, model) VALUES (?, ?, ?, ?)",
		r.Stack, r.Number, string(info), model)
	return err
}

// decodeInfo decodes a release's record, except Served and Current, which the row has.
func decodeInfo(b []byte, r *rhumb.ReleaseInfo) error {
	served, current := r.Served, r.Current
	if err := unpack(b, r); err != nil {
		return err
	}
	r.Served, r.Current = served, current
	return nil
}

func label(stack string, number int) string { return fmt.Sprintf("release %s@%d", stack, number) }

func noRelease(stack string, number int) error {
	return rhumb.Errorf(rhumb.NotFound, "stack %s has no release %d", stack, number).
		WithHint("rhumb releases -p %s lists those that are kept", stack)
}
