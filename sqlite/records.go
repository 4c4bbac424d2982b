package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"rhumb"
)

// records are the queries for sealed records, each with its label. Only people read failures, so trying the newest is
// enough: older ones are tried when they are read.
var records = []string{
	"SELECT 'release ' || stack || '@' || number, model FROM releases",
	"SELECT 'value ' || name, content FROM kept_values",
	`SELECT 'deployment ' || id || '''s failures', failures FROM deployments
		WHERE failures IS NOT NULL ORDER BY id DESC LIMIT 500`,
	"SELECT 'an event''s failure', failure FROM events WHERE failure IS NOT NULL ORDER BY id DESC LIMIT 500",
}

// tryRecords opens the sealed records. A record that was changed is found at the start, not at the first rollback.
func (s *Store) tryRecords(ctx context.Context) error {
	return s.view(ctx, "try the sealed records", func(tx *sql.Tx) error {
		for _, query := range records {
			err := each(ctx, tx, func(scan func(...any) error) error {
				var label string
				var sealed []byte
				if err := scan(&label, &sealed); err != nil {
					return err
				}
				if err := s.vault.open(label, sealed, new(json.RawMessage)); err != nil {
					return rhumb.Errorf(rhumb.ErrorCode(err), "database %s was changed or is damaged: %w", s.path, err).
						WithHint("rhumb left it as it is, and uses nothing that it can't verify. Put a backup in its place")
				}
				return nil
			}, query)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
