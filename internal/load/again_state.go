package load

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// Renormalizing is how far a source's tables have been rebuilt from what is stored.
type Renormalizing struct {
	Source   string
	By       string // what it is done with: with anything else it starts over
	BeganAt  time.Time
	Reading  int64    // what came since it began has this number or a higher one
	Drift    []string // the paths of oddities that were known when it began
	Rejects  bool     // calls are done
	After    *Ref     // the last call that is done; nil: none
	RejectID string   // the last reject that is done; "": none
	Looked   int64    // how many calls were looked at
}

// Renormalizing returns how far a rebuilding of a source has come that was not finished; nil: there is none.
func (tx *Tx) Renormalizing(ctx context.Context, source string) (*Renormalizing, error) {
	r := &Renormalizing{Source: source}
	var drift, stage string
	var startedAt sql.NullTime
	var id sql.NullString
	err := tx.w.conn.QueryRowContext(ctx, `SELECT rebuilt_by, began_at, reading, drift, stage, started_at, call_id, coalesce(reject_id, ''), looked
		FROM sync.renormalize WHERE source = ?`, source).Scan(&r.By, &r.BeganAt, &r.Reading, &drift, &stage, &startedAt, &id, &r.RejectID, &r.Looked)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(drift), &r.Drift)
	}
	if err != nil {
		return nil, fmt.Errorf("read how far %s has been rebuilt: %w", source, err)
	}
	r.BeganAt, r.Rejects = r.BeganAt.UTC(), stage == stageRejects
	if id.Valid {
		r.After = &Ref{ID: id.String, StartedAt: timePointer(startedAt)}
	}
	return r, nil
}

// The stages of a rebuilding.
const (
	stageCalls   = "calls"
	stageRejects = "rejects"
)

// SaveRenormalizing records how far a rebuilding has come, with the batch that brought it there.
func (tx *Tx) SaveRenormalizing(ctx context.Context, r Renormalizing) error {
	if err := tx.saveRenormalizing(ctx, r); err != nil {
		return fmt.Errorf("record how far %s has been rebuilt: %w", r.Source, err)
	}
	return nil
}

func (tx *Tx) saveRenormalizing(ctx context.Context, r Renormalizing) error {
	drift, err := json.Marshal(r.Drift)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.renormalize WHERE source = ?`, r.Source); err != nil {
		return err
	}
	stage, id := stageCalls, ""
	var startedAt *time.Time
	if r.Rejects {
		stage = stageRejects
	}
	if r.After != nil {
		id, startedAt = r.After.ID, r.After.StartedAt
	}
	return tx.insertRows(ctx, rows{"sync.renormalize", 1, []column{
		full("source", func(int) string { return r.Source }),
		full("rebuilt_by", func(int) string { return r.By }),
		value("began_at", duckdb.TYPE_TIMESTAMP_TZ, func(int) time.Time { return r.BeganAt }),
		value("reading", duckdb.TYPE_BIGINT, func(int) int64 { return r.Reading }),
		full("drift", func(int) string { return string(drift) }),
		full("stage", func(int) string { return stage }),
		moment("started_at", func(int) *time.Time { return startedAt }),
		optional("call_id", func(int) string { return id }),
		optional("reject_id", func(int) string { return r.RejectID }),
		value("looked", duckdb.TYPE_BIGINT, func(int) int64 { return r.Looked }),
	}})
}

// EndRenormalizing records that a source has been rebuilt to its end. Where rules are given, all that is stored has been through them.
func (tx *Tx) EndRenormalizing(ctx context.Context, source, rules string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.renormalize WHERE source = ?`, source); err != nil {
		return fmt.Errorf("record that %s has been rebuilt: %w", source, err)
	}
	if rules == "" {
		return nil
	}
	return tx.changeSource(ctx, source, "record the rules of", `UPDATE sync.sources SET stored_rules = $2 WHERE source = $1`, rules)
}

// rulesApart stands between the rules by which a source was stored.
const rulesApart = "; "

// StoredRules are all the rules by which something that is stored of a source may have been stored.
func (tx *Tx) StoredRules(ctx context.Context, source string) ([]string, error) {
	var all string
	err := tx.w.conn.QueryRowContext(ctx, `SELECT coalesce(stored_rules, '') FROM sync.sources WHERE source = ?`, source).Scan(&all)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && all == "":
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read by which rules %s was stored: %w", source, err)
	}
	return strings.Split(all, rulesApart), nil
}

// StoredReject is a record that could not become a call when it was read.
type StoredReject struct {
	ID string
	call.Reject
	Dropped  bool // its payload is no longer kept
	Resolved bool
}

// StoredRejects lists rejects of a source by their ids, after one of them.
func (tx *Tx) StoredRejects(ctx context.Context, source, after string, limit int) ([]StoredReject, error) {
	var list []StoredReject
	if err := tx.each(ctx, `SELECT reject_id, reason, detail, payload, fetched_at, resolved_at IS NOT NULL FROM sync.rejects
		WHERE source = ? AND reject_id > ? ORDER BY reject_id LIMIT ?`, []any{source, after, limit}, func(rows *sql.Rows) error {
		var payload sql.NullString
		r := StoredReject{Reject: call.Reject{Source: source}}
		if err := rows.Scan(&r.ID, &r.Reason, text{&r.Detail}, &payload, &r.FetchedAt, &r.Resolved); err != nil {
			return err
		}
		r.Payload, r.Dropped, r.FetchedAt = payload.String, !payload.Valid, r.FetchedAt.UTC()
		list = append(list, r)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read rejects of %s: %w", source, err)
	}
	return list, nil
}

// ResolveReject records that a reject can be read now, and that its call is stored.
func (tx *Tx) ResolveReject(ctx context.Context, r StoredReject, at time.Time) error {
	if _, err := tx.ExecContext(ctx, `UPDATE sync.rejects SET resolved_at = ? WHERE reject_id = ?`, at, r.ID); err != nil {
		return fmt.Errorf("resolve a reject of %s: %w", r.Source, err)
	}
	tx.changed = true
	return nil
}

// RewriteReject changes what a reject says of itself, and returns the id that such a reject has: where there is one already they become one.
func (tx *Tx) RewriteReject(ctx context.Context, id string, now call.Reject) (is string, err error) {
	tx.changed = true
	is = rejectID(now)
	if is != id {
		var n int
		if err := tx.w.conn.QueryRowContext(ctx, `SELECT count(*) FROM sync.rejects WHERE reject_id = ?`, is).Scan(&n); err != nil {
			return is, fmt.Errorf("rewrite a reject of %s: %w", now.Source, err)
		}
		if n > 0 {
			if _, err := tx.ExecContext(ctx, `DELETE FROM sync.rejects WHERE reject_id = ?`, id); err != nil {
				return is, fmt.Errorf("rewrite a reject of %s: %w", now.Source, err)
			}
			return is, nil
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE sync.rejects SET reject_id = ?, reason = ?, detail = nullif(?, ''), payload = ? WHERE reject_id = ?`,
		is, now.Reason, now.Detail, now.Payload, id); err != nil {
		return is, fmt.Errorf("rewrite a reject of %s: %w", now.Source, err)
	}
	return is, nil
}

// DeleteReject removes a reject.
func (tx *Tx) DeleteReject(ctx context.Context, r StoredReject) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.rejects WHERE reject_id = ?`, r.ID); err != nil {
		return fmt.Errorf("delete a reject of %s: %w", r.Source, err)
	}
	tx.changed = true
	return nil
}

// rejectID is the same for a record that is rejected again for the same reason.
func rejectID(r call.Reject) string {
	sum := sha256.Sum256([]byte(r.Source + "\x00" + r.Reason + "\x00" + r.Payload))
	return hex.EncodeToString(sum[:16])
}

// OldestReading is the number of the oldest reading of which a payload of a source is stored; 0: there is none.
func (tx *Tx) OldestReading(ctx context.Context, source string) (n int64, err error) {
	if err := tx.w.conn.QueryRowContext(ctx, `SELECT coalesce(min(reading), 0) FROM raw_calls WHERE source = ?`, source).Scan(&n); err != nil {
		return 0, fmt.Errorf("read the oldest reading of %s: %w", source, err)
	}
	return n, nil
}

// StoredDrift lists the oddities that are recorded of a source.
func (tx *Tx) StoredDrift(ctx context.Context, source string) ([]call.Drift, error) {
	var list []call.Drift
	if err := tx.each(ctx, `SELECT path, sample FROM sync.drift WHERE source = ? ORDER BY path`, []any{source}, func(rows *sql.Rows) error {
		var d call.Drift
		if err := rows.Scan(&d.Path, text{&d.Sample}); err != nil {
			return err
		}
		list = append(list, d)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the oddities of %s: %w", source, err)
	}
	return list, nil
}

// RewriteDrift changes what an oddity says of itself. Where there is one of its path already, that one counts both.
func (tx *Tx) RewriteDrift(ctx context.Context, source, path string, now call.Drift) error {
	tx.changed = true
	statement := `UPDATE sync.drift SET path = $3, sample = $4 WHERE source = $1 AND path = $2`
	if now.Path != path {
		result, err := tx.ExecContext(ctx, `UPDATE sync.drift AS d SET occurrences = d.occurrences + o.occurrences, first_seen_at = least(d.first_seen_at, o.first_seen_at),
			last_seen_at = greatest(d.last_seen_at, o.last_seen_at) FROM (FROM sync.drift WHERE source = $1 AND path = $2) AS o
			WHERE d.source = $1 AND d.path = $3`, source, path, now.Path)
		if err != nil {
			return fmt.Errorf("rewrite an oddity of %s: %w", source, err)
		}
		if n, err := result.RowsAffected(); err != nil {
			return fmt.Errorf("rewrite an oddity of %s: %w", source, err)
		} else if n > 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM sync.drift WHERE source = $1 AND path = $2`, source, path)
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, statement, source, path, now.Path, now.Sample); err != nil {
		return fmt.Errorf("rewrite an oddity of %s: %w", source, err)
	}
	return nil
}
