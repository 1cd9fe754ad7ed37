package load

import (
	"context"
	"database/sql"
	"fmt"
)

// NewestCalls names the calls of a source that started last and are not deleted, at most n.
func (tx *Tx) NewestCalls(ctx context.Context, source string, n int) ([]Ref, error) {
	rows, err := tx.QueryContext(ctx, `SELECT call_id, started_at FROM calls WHERE source = ? AND deleted_at IS NULL
		ORDER BY started_at DESC NULLS LAST, call_id LIMIT ?`, source, n)
	if err != nil {
		return nil, fmt.Errorf("look for the newest calls of %s: %w", source, err)
	}
	defer rows.Close()
	var newest []Ref
	for rows.Next() {
		var (
			r         Ref
			startedAt sql.NullTime
		)
		if err := rows.Scan(&r.ID, &startedAt); err != nil {
			return nil, fmt.Errorf("look for the newest calls of %s: %w", source, err)
		}
		r.StartedAt = timePointer(startedAt)
		newest = append(newest, r)
	}
	return newest, rows.Err()
}
