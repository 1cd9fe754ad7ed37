package load

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"syncd/internal/call"
)

// known is what the warehouse has of one call of a batch.
type known struct {
	ids         []string // the ids it is stored under: none for a new call, two where an earlier id and the lasting one both have rows
	key         string   // the lasting id
	contentHash int64    // of the stored payload of the same part, where there is one
	hasPayload  bool
	reading     int64
	startedAt   []*time.Time // of the stored rows
	hash        uint64       // of the key
}

// isStored reports whether the warehouse already has just this: the same payload, under the lasting id and no other.
func (k known) isStored(o call.Observation) bool {
	return len(k.ids) == 1 && k.ids[0] == k.key && k.hasPayload && k.contentHash == o.ContentHash
}

// lookup finds what the warehouse has of each observation, by its position in the batch.
func (tx *Tx) lookup(ctx context.Context, source string, batch []call.Observation) ([]known, error) {
	found := make([]known, len(batch))
	var wanted []stagedKey
	for i, o := range batch {
		found[i].key = o.Call.ID
		wanted = append(wanted, stagedKey{o.Call.ID, o.Part, i})
		if o.Alias != "" && o.Alias != o.Call.ID {
			wanted = append(wanted, stagedKey{o.Alias, o.Part, i})
		}
	}
	if err := tx.stage(ctx, wanted); err != nil {
		return nil, err
	}
	if near := startRange(batch); near != "" {
		if err := tx.findStaged(ctx, source, near, found); err != nil {
			return nil, err
		}
	}
	elsewhere, err := tx.unmatched(ctx, source, wanted, found)
	if err != nil || len(elsewhere) == 0 {
		return found, err
	}
	if err := tx.stage(ctx, elsewhere); err != nil {
		return nil, err
	}
	return found, tx.findStaged(ctx, source, "true", found)
}

// stagedKey is an id to be looked up for the batch's nth observation.
type stagedKey struct {
	id   string
	part call.Part
	n    int
}

// stage replaces the contents of the staging table.
func (tx *Tx) stage(ctx context.Context, keys []stagedKey) error {
	if _, err := tx.ExecContext(ctx, `TRUNCATE stage`); err != nil {
		return fmt.Errorf("clear the staging table: %w", err)
	}
	return tx.appendRows("temp", "main", "stage", len(keys), func(i int) []driver.Value {
		return []driver.Value{keys[i].id, string(keys[i].part), int32(keys[i].n)}
	})
}

// findStaged looks the staged keys up among the rows that a condition on their start (alias c, literals only, so that DuckDB can leave
// out what is out of range) lets through.
func (tx *Tx) findStaged(ctx context.Context, source, where string, found []known) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.n, c.call_id, c.started_at, r.content_hash, r.reading
		FROM (SELECT call_id, started_at FROM calls AS c WHERE c.source = $1 AND (`+where+`)) AS c
		JOIN stage AS s ON s.lookup = c.call_id
		LEFT JOIN (SELECT call_id, part, content_hash, reading FROM raw_calls AS c WHERE c.source = $1 AND (`+where+`)) AS r
			ON r.call_id = c.call_id AND r.part = s.part`, source)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			n             int
			id            string
			startedAt     sql.NullTime
			hash, reading sql.NullInt64
		)
		if err := rows.Scan(&n, &id, &startedAt, &hash, &reading); err != nil {
			return err
		}
		k := &found[n]
		k.ids = append(k.ids, id)
		k.startedAt = append(k.startedAt, timePointer(startedAt))
		if id == k.key || len(k.ids) == 1 {
			k.contentHash, k.hasPayload, k.reading = hash.Int64, hash.Valid, reading.Int64
		}
	}
	return rows.Err()
}

// unmatched returns the staged keys that were not found near their start and that the warehouse may hold all the same. It also hashes
// every key of the batch.
func (tx *Tx) unmatched(ctx context.Context, source string, wanted []stagedKey, found []known) ([]stagedKey, error) {
	complete := true
	for _, w := range wanted {
		complete = complete && found[w.n].holds(w.id)
	}
	if complete {
		return nil, nil
	}
	askable, err := tx.w.known.readTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT n, lookup, part, `+keyHash+` FROM (SELECT n, lookup, part, $1::VARCHAR AS source, lookup AS call_id FROM stage)`, source)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var elsewhere []stagedKey
	for rows.Next() {
		var (
			key  stagedKey
			hash uint64
		)
		if err := rows.Scan(&key.n, &key.id, (*string)(&key.part), &hash); err != nil {
			return nil, err
		}
		if key.id == found[key.n].key {
			found[key.n].hash = hash
		}
		if !found[key.n].holds(key.id) && (!askable || tx.w.known.has(hash)) {
			elsewhere = append(elsewhere, key)
		}
	}
	return elsewhere, rows.Err()
}

// holds reports whether the call is already known to be stored under an id.
func (k known) holds(id string) bool {
	for _, i := range k.ids {
		if i == id {
			return true
		}
	}
	return false
}

// startRange is the condition that a row's start lies between the earliest and the latest of the batch; "" where none has a start.
func startRange(batch []call.Observation) string {
	var starts []*time.Time
	for _, o := range batch {
		if o.Call.StartedAt != nil {
			starts = append(starts, o.Call.StartedAt)
		}
	}
	return between(starts)
}

// between is the condition that c.started_at is one of the given starts or lies between them, as literals; "" where there are none.
func between(starts []*time.Time) string {
	var lo, hi *time.Time
	null := false
	for _, t := range starts {
		if t == nil {
			null = true
			continue
		}
		if lo == nil || t.Before(*lo) {
			lo = t
		}
		if hi == nil || t.After(*hi) {
			hi = t
		}
	}
	switch {
	case lo == nil && null:
		return "c.started_at IS NULL"
	case lo == nil:
		return ""
	}
	const layout = "2006-01-02 15:04:05.999999-07"
	in := fmt.Sprintf("c.started_at BETWEEN TIMESTAMPTZ '%s' AND TIMESTAMPTZ '%s'", lo.UTC().Format(layout), hi.UTC().Format(layout))
	if null {
		in += " OR c.started_at IS NULL"
	}
	return in
}

func timePointer(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	utc := t.Time.UTC()
	return &utc
}
