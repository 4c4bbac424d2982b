package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rhumb"
)

// Begin stores a new release, unless r is nil, and opens a deployment to it. It also writes the release's number to r.
// A From of 0 becomes the release that serves. Conflict: From is set, and another release serves.
func (s *Store) Begin(ctx context.Context, r *rhumb.Release, d rhumb.Deployment) (rhumb.Deployment, error) {
	if d.Phase == "" {
		d.Phase = rhumb.PhaseRolling
	}
	if d.Stack == "" || d.Phase.Ended() {
		return d, rhumb.Errorf(rhumb.Internal,
			"a deployment needs a stack and can't begin ended: stack %q, phase %q", d.Stack, d.Phase)
	}
	var made rhumb.Release
	err := s.update(ctx, "begin a deployment of "+d.Stack, func(tx *sql.Tx) error {
		st, err := s.lock(ctx, tx, &d)
		if err != nil {
			return err
		}
		if d.Started.IsZero() { // after the end of the deployment before it, which the lock has seen
			d.Started = time.Now().UTC()
		}
		if r != nil {
			made = *r
			made.Stack = d.Stack
			if err := s.number(ctx, tx, &made, st.Last); err != nil {
				return err
			}
			d.To, st.Last = made.Number, made.Number
		} else if err := hasRelease(ctx, tx, d.Stack, d.To); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE stacks SET last = ?, gone = 0 WHERE name = ?", st.Last, d.Stack)
		if err != nil {
			return err
		}
		if err := s.insert(ctx, tx, &d); err != nil {
			return err
		}
		return pruneDeployments(ctx, tx, d.Stack)
	})
	if err != nil {
		return rhumb.Deployment{}, err
	}
	if r != nil {
		*r = made
	}
	return d, nil
}

// pruneDeployments removes the stack's oldest deployments, so that keepDeployments are left.
func pruneDeployments(ctx context.Context, tx *sql.Tx, stack string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM deployments WHERE stack = ?1 AND id <=
		(SELECT id FROM deployments WHERE stack = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, stack, keepDeployments)
	return err
}

// keepDeployments is how many deployments of a stack are kept.
const keepDeployments = 500

// Save stores a deployment if d.Rev is the stored revision. One that has ended can be changed, but not its phase.
func (s *Store) Save(ctx context.Context, d rhumb.Deployment) (rhumb.Deployment, error) {
	err := s.update(ctx, fmt.Sprintf("save deployment %d of %s", d.ID, d.Stack), func(tx *sql.Tx) error {
		old, err := s.deployment(ctx, tx, d.Stack, d.ID)
		if err != nil {
			return err
		}
		if old.Rev != d.Rev {
			return rhumb.Errorf(rhumb.Conflict,
				"deployment %d of %s was changed meanwhile: revision %d is stored, not %d", d.ID, d.Stack, old.Rev, d.Rev).
				WithHint("read it again and repeat the change")
		}
		if old.Phase.Ended() && d.Phase != old.Phase {
			return rhumb.Errorf(rhumb.Conflict, "deployment %d of %s has ended: %s", d.ID, d.Stack, old.Phase)
		}
		if d.Phase.Ended() && !old.Phase.Ended() {
			if err := settle(ctx, tx, d); err != nil {
				return err
			}
		}
		d.Rev++
		return s.replace(ctx, tx, d)
	})
	if err != nil {
		return rhumb.Deployment{}, err
	}
	if d.Phase.Ended() {
		s.emptyLog(ctx)
	}
	return d, nil
}

// Deployment returns a deployment; with id 0, the stack's last one.
func (s *Store) Deployment(ctx context.Context, stack string, id int64) (d rhumb.Deployment, err error) {
	err = s.view(ctx, "read a deployment of "+stack, func(tx *sql.Tx) error {
		d, err = s.deployment(ctx, tx, stack, id)
		return err
	})
	return d, err
}

// Deployments returns a stack's deployments, newest first, at most limit (0: all).
func (s *Store) Deployments(ctx context.Context, stack string, limit int) (list []rhumb.Deployment, err error) {
	if limit <= 0 {
		limit = -1 // no limit
	}
	err = s.view(ctx, "list the deployments of "+stack, func(tx *sql.Tx) error {
		return each(ctx, tx, func(scan func(...any) error) error {
			d, err := s.decode(scan)
			list = append(list, d)
			return err
		}, deploymentQuery+" WHERE stack = ? ORDER BY id DESC LIMIT ?", stack, limit)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

const deploymentQuery = "SELECT id, rev, record, failures FROM deployments"

// lock returns Locked if a deployment is open, and otherwise makes sure that the stack has a row. The transaction holds
// the database's write lock.
func (s *Store) lock(ctx context.Context, tx *sql.Tx, d *rhumb.Deployment) (rhumb.StackState, error) {
	st, err := state(ctx, tx, d.Stack)
	if err != nil {
		return st, err
	}
	if st.Open != 0 {
		other, err := s.deployment(ctx, tx, d.Stack, st.Open)
		if err != nil {
			return st, err
		}
		return st, locked(other)
	}
	if d.From == 0 {
		d.From = st.Current
	}
	if d.From != st.Current {
		return st, rhumb.Errorf(rhumb.Conflict,
			"stack %s was changed meanwhile: release %d serves, not %d", d.Stack, st.Current, d.From).
			WithHint("try again")
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO stacks (name) VALUES (?) ON CONFLICT DO NOTHING", d.Stack)
	return st, err
}

func locked(d rhumb.Deployment) error {
	since := d.Started.Local()
	when := since.Format(time.TimeOnly)
	if time.Since(since) > 12*time.Hour {
		when = since.Format(time.DateTime)
	}
	to, by := fmt.Sprint(d.To), ""
	if d.To == 0 {
		to = "nothing"
	}
	if d.By != "" {
		by = " by " + d.By
	}
	return rhumb.Errorf(rhumb.Locked,
		"another deployment of %s is going on: %d to %s%s, since %s", d.Stack, d.From, to, by, when).
		WithHint("--wait-lock 10m waits for it; rhumb cancel -p %s puts it back", d.Stack)
}

func hasRelease(ctx context.Context, tx *sql.Tx, stack string, number int) error {
	if number == 0 {
		return nil
	}
	var there bool
	const query = "SELECT EXISTS (SELECT 1 FROM releases WHERE stack = ? AND number = ?)"
	err := tx.QueryRowContext(ctx, query, stack, number).Scan(&there)
	if err == nil && !there {
		return noRelease(stack, number)
	}
	return err
}

// settle stores what the end of a deployment means for its stack.
func settle(ctx context.Context, tx *sql.Tx, d rhumb.Deployment) error {
	switch d.Phase {
	case rhumb.PhaseConverged, rhumb.PhaseIncomplete, rhumb.PhasePaused:
		gone := d.Phase == rhumb.PhaseConverged && d.To == 0
		_, err := tx.ExecContext(ctx, "UPDATE stacks SET current = ?, gone = ? WHERE name = ?", d.To, gone, d.Stack)
		if err != nil {
			return err
		}
	}
	if d.Phase != rhumb.PhaseConverged {
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE releases SET served = 1 WHERE stack = ? AND number = ?", d.Stack, d.To)
	return err
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, d *rhumb.Deployment) error {
	d.Rev = 1
	const query = "INSERT INTO deployments (stack, rev, open, record) VALUES (?, ?, 1, '{}')"
	res, err := tx.ExecContext(ctx, query, d.Stack, d.Rev)
	if err != nil {
		return err
	}
	if d.ID, err = res.LastInsertId(); err != nil {
		return err
	}
	return s.replace(ctx, tx, *d)
}

func (s *Store) replace(ctx context.Context, tx *sql.Tx, d rhumb.Deployment) error {
	var failures []byte
	if len(d.Failures) > 0 {
		var err error
		if failures, err = s.vault.seal(fmt.Sprintf("deployment %d's failures", d.ID), d.Failures); err != nil {
			return err
		}
	}
	d.Failures = nil
	record, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE deployments SET rev = ?, open = ?, record = ?, failures = ? WHERE id = ?",
		d.Rev, !d.Phase.Ended(), string(record), failures, d.ID)
	return err
}

func (s *Store) deployment(ctx context.Context, tx *sql.Tx, stack string, id int64) (rhumb.Deployment, error) {
	row := tx.QueryRowContext(ctx,
		deploymentQuery+" WHERE stack = ?1 AND (id = ?2 OR ?2 = 0) ORDER BY id DESC LIMIT 1", stack, id)
	d, err := s.decode(row.Scan)
	if !errors.Is(err, sql.ErrNoRows) {
		return d, err
	}
	if id == 0 {
		return d, rhumb.Errorf(rhumb.NotFound, "stack %s was never deployed", stack)
	}
	return d, rhumb.Errorf(rhumb.NotFound, "stack %s has no deployment %d", stack, id)
}

func (s *Store) decode(scan func(...any) error) (d rhumb.Deployment, err error) {
	var id, rev int64
	var record, failures []byte
	if err := scan(&id, &rev, &record, &failures); err != nil {
		return d, err
	}
	if err := unpack(record, &d); err != nil {
		return d, fmt.Errorf("deployment %d: %w", id, err)
	}
	d.ID, d.Rev = id, rev
	if failures != nil {
		err = s.vault.open(fmt.Sprintf("deployment %d's failures", id), failures, &d.Failures)
	}
	return d, err
}
