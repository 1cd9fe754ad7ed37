// Package repair puts right in a warehouse what can be put right without guessing.
//
// It owns what that is, the order in which it is done, and that no row goes before it is written elsewhere. It refuses to guess: of two rows that say
// different things of one call the newer reading stays, as the writer would have it; what a row should say is taken from where syncd itself takes it; a claim
// of coverage that may be wrong is given up, as that costs requests and no call. Everything else it leaves as it is, for the payloads or the provider to tell.
// It opens no file, reads no payload, and knows no provider; the transaction is the caller's.
package repair

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Tx is the transaction in which something is put right.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Repair is one thing that is put right.
type Repair struct {
	Name  string // what is done, as a report says it
	Table string

	rows   string // a condition on rows of the table
	change string // what is set in them; "": they go
}

// Removes reports whether rows go.
func (r Repair) Removes() bool { return r.change == "" }

// Do puts it right, and returns how many rows it changed. Rows that go are written to kept first, a line of JSON each; whoever commits has them on the disk by
// then, so that if the process dies they are in the table, or in the file, or in both.
func (r Repair) Do(ctx context.Context, tx Tx, kept io.Writer) (n int64, err error) {
	statement := `UPDATE ` + r.Table + ` SET ` + r.change + ` WHERE ` + r.rows
	if r.Removes() {
		if n, err = r.keep(ctx, tx, kept); err != nil || n == 0 {
			return n, err
		}
		statement = `DELETE FROM ` + r.Table + ` WHERE ` + r.rows
	}
	result, err := tx.ExecContext(ctx, statement)
	if err != nil {
		return 0, fmt.Errorf("%s in %s: %w", r.Name, r.Table, err)
	}
	changed, err := result.RowsAffected()
	if err == nil && r.Removes() && changed != n {
		err = fmt.Errorf("%s in %s: %d rows were kept elsewhere, and %d would go", r.Name, r.Table, n, changed)
	}
	return changed, err
}

// keep writes the rows that are to go, and counts them.
func (r Repair) keep(ctx context.Context, tx Tx, to io.Writer) (n int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT to_json(t)::VARCHAR FROM (SELECT * FROM `+r.Table+` WHERE `+r.rows+`) AS t`)
	if err != nil {
		return 0, fmt.Errorf("%s in %s: %w", r.Name, r.Table, err)
	}
	defer rows.Close()
	lines := json.NewEncoder(to)
	lines.SetEscapeHTML(false)
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return n, fmt.Errorf("%s in %s: %w", r.Name, r.Table, err)
		}
		if err := lines.Encode(removed{r.Table, r.Name, json.RawMessage(row)}); err != nil {
			return n, fmt.Errorf("keep what is removed of %s: %w", r.Table, err)
		}
		n++
	}
	return n, rows.Err()
}

// removed is a row as it is kept.
type removed struct {
	Table string          `json:"table"`
	Why   string          `json:"why"`
	Row   json.RawMessage `json:"row"`
}

// All are the repairs, in the order in which they are to be done: what is twice goes first, as later ones count on keys. now is the present by the clock
// of the provider whose clock is furthest ahead.
func All(now time.Time) []Repair {
	all := twice()
	all = append(all, strays()...)
	all = append(all, own()...)
	return append(all, ledger(now)...)
}

// twice are rows that bear one key. Of calls, payloads and tries the newest reading stays. Of other rows only those go that are word for word another's.
func twice() []Repair {
	var all []Repair
	for _, t := range []struct{ table, key, newest string }{
		{"calls", "source, call_id", "revision DESC, changed_at DESC"},
		{"raw_calls", "source, call_id, part", "reading DESC, fetched_at DESC"},
		{"sync.details", "source, call_id, part", "reading DESC, tried_at DESC"},
		{"call_costs", "source, call_id, seq", ""},
		{"call_messages", "source, call_id, seq", ""},
		{"call_functions", "source, call_id, seq", ""},
		{"call_revisions", "source, call_id, revision, field", ""},
		{"sync.sources", "source", ""},
		{"sync.windows", "source, window_id", ""},
		{"sync.window_ids", "window_id, id_hash", ""},
		{"sync.runs", "run_id", ""},
		{"sync.rejects", "reject_id", ""},
		{"sync.drift", "source, path", ""},
		{"sync.forced", "source, since, until, asked_since, asked_until", ""},
	} {
		name, by, order := "removed rows that were there twice, word for word", t.key+", whole", "row_id"
		if t.newest != "" {
			name, by, order = "removed the older of two rows", t.key, t.newest+", row_id"
		}
		all = append(all, Repair{Name: name, Table: t.table, rows: fmt.Sprintf(`rowid IN (SELECT row_id FROM
			(SELECT row_id, row_number() OVER (PARTITION BY %s ORDER BY %s) AS nth FROM
				(SELECT *, rowid AS row_id, hash(t) AS whole FROM %s AS t WHERE (%s) IN (SELECT (%s) FROM %[3]s GROUP BY %[6]s HAVING count(*) > 1)))
			WHERE nth > 1)`, by, order, t.table, t.key, t.key, t.key)})
	}
	return all
}

// noCall is the condition that a row's call is not there.
const noCall = `(source, call_id) NOT IN (SELECT (source, call_id) FROM calls)`

// strays are rows whose call is not there, or starts elsewhere. Payloads without their call go, too: nothing tells what the call had become, and one that is
// read again is stored as a new one, beside which none of an earlier life may lie.
func strays() []Repair {
	all := []Repair{{Name: "moved payloads aside of calls that are not there; 'syncd backfill SOURCE --from … --force' reads the calls again", Table: "raw_calls", rows: noCall}}
	for _, table := range []string{"call_costs", "call_messages", "call_functions", "call_revisions"} {
		all = append(all, Repair{Name: "removed rows of calls that are not there", Table: table, rows: noCall})
	}
	all = append(all, Repair{Name: "removed tries for details of calls that are not there", Table: "sync.details", rows: noCall})
	for _, table := range []string{"call_costs", "call_messages", "call_functions", "raw_calls"} {
		all = append(all, Repair{Name: "gave rows the start of their call", Table: table,
			rows:   fmt.Sprintf(`EXISTS (FROM calls AS c WHERE c.source = %[1]s.source AND c.call_id = %[1]s.call_id AND c.started_at IS DISTINCT FROM %[1]s.started_at)`, table),
			change: fmt.Sprintf(`started_at = (SELECT any_value(c.started_at) FROM calls AS c WHERE c.source = %[1]s.source AND c.call_id = %[1]s.call_id)`, table)})
	}
	return all
}

const finalStatus = `status IN ('completed', 'voicemail', 'no_answer', 'busy', 'canceled', 'failed')`

// own are the columns and rows that are syncd's own, and follow from others.
func own() []Repair {
	return []Repair{
		{Name: "made is_final what the status says", Table: "calls", change: `is_final = (` + finalStatus + `)`,
			rows: `is_final <> (` + finalStatus + `) AND (` + finalStatus + ` OR status IN ('queued', 'ringing', 'in_progress', 'unknown'))`},
		{Name: "dated the last change of calls by their revisions", Table: "calls",
			change: `changed_at = (SELECT max(r.changed_at) FROM call_revisions AS r WHERE r.source = calls.source AND r.call_id = calls.call_id AND r.revision = calls.revision)`,
			rows: `EXISTS (FROM call_revisions AS r WHERE r.source = calls.source AND r.call_id = calls.call_id AND r.revision = calls.revision
				AND r.changed_at <> calls.changed_at)`},
		{Name: "forgot tries for details that tell nothing; they are asked for again", Table: "sync.details",
			rows: `state NOT IN ('missing', 'failed', 'incomplete') OR attempts < 1 OR state <> 'incomplete' AND error IS NULL
				OR reading > coalesce((SELECT max(l.reading) FROM raw_calls AS l WHERE l.source = sync.details.source AND l.call_id = sync.details.call_id AND l.part = 'list'), 0)`},
	}
}

// ledger are the claims of coverage, and windows that are being read. What is given up is read again.
func ledger(now time.Time) []Repair {
	return []Repair{
		{Name: "gave up windows that are neither open nor closed, or hold no time", Table: "sync.windows", rows: `state NOT IN ('open', 'closed') OR since >= until`},
		{Name: "gave up facts that may claim too much; what they covered is read again", Table: "sync.windows",
			rows: `state = 'closed' AND (read_at IS NULL OR age_ms IS NULL OR position IS NOT NULL OR pages IS NOT NULL OR total IS NOT NULL OR attempt <> 0 OR failures <> 0
				OR error IS NOT NULL OR retry_at IS NOT NULL OR age_ms < 60000 OR epoch_us(read_at) - epoch_us(until) >= 1000 * (age_ms + 1)
				OR epoch_us(until) + 1000 * age_ms > ` + fmt.Sprint(now.UnixMicro()) + `)`},
		{Name: "gave up facts that overlap; what they covered is read again", Table: "sync.windows",
			rows: `state = 'closed' AND EXISTS (FROM sync.windows AS o WHERE o.state = 'closed' AND o.source = sync.windows.source AND o.window_id <> sync.windows.window_id
				AND o.since < sync.windows.until AND o.until > sync.windows.since)`},
		{Name: "started windows over whose position and pages did not belong together", Table: "sync.windows",
			change: `position = NULL, pages = 0, total = NULL, read_at = NULL, age_ms = NULL`,
			rows: `state = 'open' AND (pages IS NULL OR pages < 0 OR (pages = 0) <> (position IS NULL) OR (pages = 0) <> (read_at IS NULL)
				OR pages = 0 AND total IS NOT NULL OR total < 0 OR age_ms IS NOT NULL)`},
		{Name: "let windows be tried again that failed and did not say why", Table: "sync.windows", change: `attempt = 0, failures = 0, retry_at = NULL`,
			rows: `state = 'open' AND (attempt < 0 OR failures < 0 OR (failures > 0 OR retry_at IS NOT NULL) AND error IS NULL)`},
		{Name: "removed ids of windows that are not being read", Table: "sync.window_ids",
			rows: `window_id NOT IN (SELECT window_id FROM sync.windows WHERE state = 'open' AND pages > 0)`},
		{Name: "gave up what was left of forced readings in disorder; give 'syncd backfill --force' again", Table: "sync.forced",
			rows: `since >= until OR since < asked_since OR until > asked_until OR EXISTS (FROM sync.forced AS o WHERE o.source = sync.forced.source
				AND o.since < sync.forced.since AND o.until > sync.forced.since)`},
	}
}

// Redact takes secrets, and what looks like a phone number, out of the texts that are written for people, and returns how many rows it changed. What it takes
// out is kept nowhere.
func Redact(ctx context.Context, tx Tx, secrets []string) (n int64, err error) {
	for _, c := range []struct {
		table   string
		columns []string
	}{
		{"sync.windows", []string{"error"}}, {"sync.runs", []string{"kind", "error"}}, {"sync.rejects", []string{"reason", "detail"}},
		{"sync.details", []string{"error"}}, {"sync.sources", []string{"reason", "rules", "schedule", "reread"}},
	} {
		for _, column := range c.columns {
			changed, err := redact(ctx, tx, c.table, column, secrets)
			if err != nil {
				return n, fmt.Errorf("take what is secret out of %s: %w", c.table, err)
			}
			n += changed
		}
	}
	return n, nil
}

func redact(ctx context.Context, tx Tx, table, column string, secrets []string) (int64, error) {
	to, where := `regexp_replace(`+column+`, '\+[0-9]{8,}', '[number]', 'g')`, []string{`regexp_matches(` + column + `, '\+[0-9]{8}')`}
	var inner, conditions []any
	for _, s := range secrets {
		if s == "" {
			continue
		}
		to = `replace(` + to + `, ?, '[redacted]')`
		inner, conditions, where = append(inner, s), append(conditions, s), append(where, `contains(`+column+`, ?)`)
	}
	result, err := tx.ExecContext(ctx, `UPDATE `+table+` SET `+column+` = `+to+` WHERE `+strings.Join(where, " OR "), append(inner, conditions...)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
