package load

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// LiveIDs lists the calls of a source that started in [since, until) and are not deleted, oldest first.
func (tx *Tx) LiveIDs(ctx context.Context, source string, since, until time.Time) ([]Ref, error) {
	rows, err := tx.QueryContext(ctx, `SELECT call_id, started_at FROM calls WHERE source = $1 AND started_at >= `+instant(since)+
		` AND started_at < `+instant(until)+` AND deleted_at IS NULL ORDER BY started_at, call_id`, source)
	if err != nil {
		return nil, fmt.Errorf("list calls of %s: %w", source, err)
	}
	defer rows.Close()
	var live []Ref
	for rows.Next() {
		var id string
		var startedAt time.Time
		if err := rows.Scan(&id, &startedAt); err != nil {
			return nil, fmt.Errorf("list calls of %s: %w", source, err)
		}
		startedAt = startedAt.UTC()
		live = append(live, Ref{id, &startedAt})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list calls of %s: %w", source, err)
	}
	return live, nil
}

// standing is a call that may be marked as deleted.
type standing struct {
	id        string
	startedAt *time.Time
	revision  int32
}

// MarkDeleted records that calls of a source are gone, as the reading of that number was told, and returns how many it marked. A call that
// is deleted already, or that a newer reading has seen, is left alone. The number is kept with the call's payloads: a reading that was sent
// earlier and arrives later cannot bring the call back, a newer one can.
//
// It is one transaction with what else the caller writes; if the process dies before it commits, the calls are asked for again.
func (tx *Tx) MarkDeleted(ctx context.Context, source string, ids []Ref, at time.Time, reading int64) (int64, error) {
	gone, err := tx.standing(ctx, source, ids, reading)
	if err != nil {
		return 0, fmt.Errorf("look up deleted calls of %s: %w", source, err)
	}
	if len(gone) == 0 {
		return 0, nil
	}
	var keys []stagedKey
	var starts []*time.Time
	for n, g := range gone {
		keys = append(keys, stagedKey{id: g.id, n: n})
		starts = append(starts, g.startedAt)
	}
	if err := tx.stage(ctx, keys); err != nil {
		return 0, fmt.Errorf("mark deleted calls of %s: %w", source, err)
	}
	near := between(starts)
	staged := ` FROM stage AS s WHERE c.source = $1 AND (` + near + `) AND c.call_id = s.lookup`
	if _, err := tx.ExecContext(ctx, `UPDATE calls AS c SET deleted_at = $2, changed_at = $2, revision = c.revision + 1`+staged, source, at); err != nil {
		return 0, fmt.Errorf("mark deleted calls of %s: %w", source, err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE raw_calls AS c SET reading = greatest(c.reading, $2)`+staged, source, reading); err != nil {
		return 0, fmt.Errorf("mark the payloads of deleted calls of %s: %w", source, err)
	}
	// Nothing more is asked about them; should one come back, its list payload is newer than any detail, and all is asked again.
	if err := tx.deleteStaged(ctx, source, "true", "sync.details", ""); err != nil {
		return 0, fmt.Errorf("forget tries for details of deleted calls of %s: %w", source, err)
	}
	if err := tx.insertRows(ctx, rows{"main.call_revisions", len(gone), []column{
		full("source", func(int) string { return source }),
		full("call_id", func(i int) string { return gone[i].id }),
		value("revision", duckdb.TYPE_INTEGER, func(i int) int32 { return gone[i].revision + 1 }),
		value("changed_at", duckdb.TYPE_TIMESTAMP_TZ, func(int) time.Time { return at }),
		full("field", func(int) string { return "deleted_at" }),
		nothing("old_value"),
		full("new_value", func(int) string { return timeText(&at) }),
	}}); err != nil {
		return 0, fmt.Errorf("mark deleted calls of %s: %w", source, err)
	}
	tx.changed = true
	return int64(len(gone)), nil
}

// standing finds, of the calls named, those that are there, are not deleted, and were seen by no reading newer than the given one. A call
// may have moved since it was named, so what is not where it was is looked for everywhere.
func (tx *Tx) standing(ctx context.Context, source string, ids []Ref, reading int64) ([]standing, error) {
	var all []standing
	found := make(map[string]bool, len(ids))
	missing := unfound(ids, nil)
	for _, near := range []string{nearRefs(ids), "true"} {
		if len(missing) == 0 {
			break
		}
		if err := tx.stage(ctx, missing); err != nil {
			return nil, err
		}
		some, err := tx.standingNear(ctx, source, near, reading, found)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		missing = unfound(ids, func(id string) bool { return found[id] })
	}
	return all, nil
}

// standingNear looks at the staged calls, and notes which it found, deleted or not.
func (tx *Tx) standingNear(ctx context.Context, source, near string, reading int64, found map[string]bool) ([]standing, error) {
	rows, err := tx.QueryContext(ctx, `SELECT c.call_id, c.started_at, c.revision, c.deleted_at IS NOT NULL, r.part, r.reading`+stagedRows("calls", near)+
		`LEFT JOIN (SELECT call_id, part, reading FROM raw_calls AS c WHERE c.source = $1 AND (`+near+`)) AS r ON r.call_id = c.call_id
		ORDER BY s.n`, source)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []standing
	left := make(map[string]bool) // those that are to be left alone
	for rows.Next() {
		var (
			c         standing
			startedAt sql.NullTime
			deleted   bool
			part      sql.NullString
			seen      sql.NullInt64
		)
		if err := rows.Scan(&c.id, &startedAt, &c.revision, &deleted, &part, &seen); err != nil {
			return nil, err
		}
		if !found[c.id] { // its first row: one follows for every further part
			found[c.id] = true
			c.startedAt = timePointer(startedAt)
			all = append(all, c)
		}
		if deleted || seen.Int64 > reading || tx.newestUnchanged(source, c.id, call.Part(part.String)) > reading {
			left[c.id] = true
		}
	}
	return slices.DeleteFunc(all, func(c standing) bool { return left[c.id] }), rows.Err()
}
