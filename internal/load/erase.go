package load

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"syncd/internal/call"
)

// # Erasing a person
//
// What is looked through is not a list of columns that somebody must keep up: it is every text of every table that the file has. Tables with a source and
// a call_id are about calls, and a call goes from all of them or none; but for sync.renormalize, whose call_id is a position among calls, and whose other
// texts are not about that call. Of the others it is known what to do where a text holds what must go; one of which it is not known is an error that names
// it, and nothing happens.

// Erased counts the rows that went or lost a text, by table.
type Erased map[string]int64

// positions is the table that tells up to which call a source has been rebuilt.
const positions = "sync.renormalize"

// textTable is a table with its columns that are text.
type textTable struct {
	name    string // with its schema
	columns []string
	ofCalls bool // each row of it is about a call, which a source and a call_id name
}

// textTables lists the tables that hold text.
func (tx *Tx) textTables(ctx context.Context) (tables []textTable, err error) {
	at := make(map[string]int)
	err = tx.each(ctx, `SELECT CASE WHEN c.schema_name = 'main' THEN '' ELSE c.schema_name || '.' END || c.table_name, c.column_name
		FROM duckdb_columns() AS c JOIN duckdb_tables() AS t USING (database_name, schema_name, table_name)
		WHERE database_name = current_database() AND NOT t.temporary AND c.data_type = 'VARCHAR'
		ORDER BY c.table_name <> 'calls', 1, c.column_index`, nil, func(rows *sql.Rows) error {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		n, ok := at[table]
		if !ok {
			n = len(tables)
			at[table], tables = n, append(tables, textTable{name: table})
		}
		tables[n].columns = append(tables[n].columns, column)
		return nil
	})
	for i, t := range tables {
		tables[i].ofCalls = t.name != positions && slices.Contains(t.columns, "source") && slices.Contains(t.columns, "call_id")
	}
	return tables, err
}

// searchRows is how many rows of a table are read at once: as many payloads as fit well into memory.
const searchRows = 10_000

// CallsHolding finds the calls, by source, of which any text in any table holds what is looked for. It reads all the text there is, and is told
// where it has got to in rows. It looks at what was there when the transaction began to write: it comes first in it.
func (tx *Tx) CallsHolding(ctx context.Context, holds func(text string) bool, tell func(done, total int64)) (map[string][]string, error) {
	tables, err := tx.textTables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	ends := make([]int64, len(tables))
	var done, total int64
	for i, t := range tables {
		if !t.ofCalls {
			continue
		}
		if err := tx.w.conn.QueryRowContext(ctx, `SELECT coalesce(max(rowid) + 1, 0) FROM `+t.name).Scan(&ends[i]); err != nil {
			return nil, fmt.Errorf("look through %s: %w", t.name, err)
		}
		total += ends[i]
	}
	found := make(map[string]map[string]bool)
	for i, t := range tables {
		source, id := slices.Index(t.columns, "source"), slices.Index(t.columns, "call_id")
		for from := int64(0); from < ends[i]; from += searchRows {
			where := fmt.Sprintf("rowid >= %d AND rowid < %d", from, from+searchRows)
			if err := tx.eachText(ctx, t, where, func(_ int64, texts []string) error {
				if of := texts[source]; slices.ContainsFunc(texts, holds) {
					if found[of] == nil {
						found[of] = make(map[string]bool)
					}
					found[of][texts[id]] = true
				}
				return nil
			}); err != nil {
				return nil, fmt.Errorf("look through %s: %w", t.name, err)
			}
			done += min(searchRows, ends[i]-from)
			tell(done, total)
		}
	}
	calls := make(map[string][]string, len(found))
	for of, ids := range found {
		for id := range ids {
			calls[of] = append(calls[of], id)
		}
		slices.Sort(calls[of])
	}
	return calls, nil
}

// eachText reads the texts of a table's rows, "" for NULL. They are taken from the driver itself, as keys are: there may be tens of millions.
func (tx *Tx) eachText(ctx context.Context, t textTable, where string, do func(row int64, texts []string) error) error {
	query := `SELECT rowid, "` + strings.Join(t.columns, `", "`) + `" FROM ` + t.name + ` WHERE ` + where
	return tx.w.conn.Raw(func(dc any) (err error) {
		rows, err := dc.(driver.QueryerContext).QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		values, texts := make([]driver.Value, 1+len(t.columns)), make([]string, len(t.columns))
		for {
			if err := rows.Next(values); errors.Is(err, io.EOF) {
				return ctx.Err()
			} else if err != nil {
				return err
			}
			row, ok := values[0].(int64)
			if !ok {
				return fmt.Errorf("the number of a row is %T", values[0])
			}
			for i, v := range values[1:] {
				texts[i], _ = v.(string) // NULL is no text
			}
			if err := do(row, texts); err != nil {
				return err
			}
		}
	})
}

// EraseCalls deletes calls of a source from every table that is about calls, and returns the ids under which there were calls. Nothing of them is
// left but that their run counted them, for which [Tx.Suppress] keeps a row. A rebuilding that has come up to one of them starts over.
//
// It is one transaction with what keeps them out.
func (tx *Tx) EraseCalls(ctx context.Context, source string, ids []string, erased Erased) (stored []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	tables, err := tx.textTables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	keys := make([]stagedKey, len(ids))
	for i, id := range ids {
		keys[i] = stagedKey{id: id, n: i}
	}
	if err := tx.stage(ctx, keys); err != nil {
		return nil, fmt.Errorf("erase calls of %s: %w", source, err)
	}
	if err := tx.each(ctx, `SELECT DISTINCT c.call_id`+stagedRows("calls", "true"), []any{source}, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		stored = append(stored, id)
		return err
	}); err != nil {
		return nil, fmt.Errorf("erase calls of %s: %w", source, err)
	}
	for _, t := range tables {
		if !t.ofCalls && t.name != positions {
			continue
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM `+t.name+` AS c USING stage AS s WHERE c.source = $1 AND c.call_id = s.lookup`, source)
		if err != nil {
			return nil, fmt.Errorf("erase calls of %s from %s: %w", source, t.name, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return nil, fmt.Errorf("erase calls of %s from %s: %w", source, t.name, err)
		}
		erased[t.name] += n
		tx.changed = tx.changed || n > 0
	}
	return stored, nil
}

// Elsewhere says what is to go from the tables that are not about calls.
type Elsewhere struct {
	Holds  func(text string) bool            // what must go
	Reject func(source, payload string) bool // whether a reject is of a call that was erased, whatever it holds
	Piece  func(source, text string) bool    // whether a sample of an oddity is a piece of a call that was erased
	IDs    []string                          // of calls that were erased, which by themselves tell a number
}

// The texts that stand in the place of those that went.
const (
	erasedError = "what went wrong was erased, as it held the number of somebody who was forgotten"
	erasedField = "a field whose name was erased"
)

// EraseElsewhere takes what must go out of all tables that are not about calls. Rejects that hold it go, as do those of calls
// that were erased; of an oddity's row the name or the sample goes, and of an error its words; an open window whose position tells it is read from its
// start again, and a rebuilding whose notes tell it starts over.
//
// It is one transaction with [Tx.EraseCalls].
func (tx *Tx) EraseElsewhere(ctx context.Context, e Elsewhere, erased Erased) error {
	for _, step := range []func(context.Context, Elsewhere, Erased) error{tx.eraseRejects, tx.eraseDrift, tx.eraseErrors, tx.erasePositions, tx.eraseRenormalizing} {
		if err := step(ctx, e, erased); err != nil {
			return err
		}
	}
	tables, err := tx.textTables(ctx)
	if err != nil {
		return fmt.Errorf("list the tables: %w", err)
	}
	for _, t := range tables {
		if t.ofCalls {
			continue
		}
		if err := tx.eachText(ctx, t, "true", func(_ int64, texts []string) error {
			if n := slices.IndexFunc(texts, e.Holds); n >= 0 {
				return fmt.Errorf("the number stands in the column %s of %s, from where this syncd knows no way to erase it; nothing was erased", t.columns[n], t.name)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// holding lists the rows of a table in whose columns a text holds what must go.
func (tx *Tx) holding(ctx context.Context, table string, holds func(string) bool, columns ...string) (rowIDs []int64, err error) {
	err = tx.eachText(ctx, textTable{name: table, columns: columns}, "true", func(row int64, texts []string) error {
		if slices.ContainsFunc(texts, holds) {
			rowIDs = append(rowIDs, row)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look through %s: %w", table, err)
	}
	return rowIDs, nil
}

// numbered is the condition that a row is one of those.
func numbered(rowIDs []int64) string {
	return "rowid IN (" + strings.Trim(strings.ReplaceAll(fmt.Sprint(rowIDs), " ", ", "), "[]") + ")"
}

// change runs a statement on some rows, which counts them.
func (tx *Tx) change(ctx context.Context, table, statement string, rowIDs []int64, erased Erased, args ...any) error {
	if len(rowIDs) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, statement+" WHERE "+numbered(rowIDs), args...); err != nil {
		return fmt.Errorf("erase from %s: %w", table, err)
	}
	erased[table] += int64(len(rowIDs))
	tx.changed = true
	return nil
}

// eraseDrift takes samples out, and gathers the counts of oddities whose names must go under one name, so that as many are told as the runs counted.
func (tx *Tx) eraseDrift(ctx context.Context, e Elsewhere, erased Erased) error {
	type oddity struct {
		source      string
		first, last sql.NullTime
		n           int64
	}
	var samples []int64
	if err := tx.eachText(ctx, textTable{name: "sync.drift", columns: []string{"source", "sample"}}, "sample IS NOT NULL", func(row int64, texts []string) error {
		if e.Holds(texts[1]) || e.Piece(texts[0], texts[1]) {
			samples = append(samples, row)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("look through sync.drift: %w", err)
	}
	if err := tx.change(ctx, "sync.drift", `UPDATE sync.drift SET sample = NULL`, samples, erased); err != nil {
		return err
	}
	named, err := tx.holding(ctx, "sync.drift", e.Holds, "path")
	if err != nil || len(named) == 0 {
		return err
	}
	var gone []oddity
	if err := tx.each(ctx, `SELECT source, first_seen_at, last_seen_at, occurrences FROM sync.drift WHERE `+numbered(named), nil, func(rows *sql.Rows) error {
		var o oddity
		err := rows.Scan(&o.source, &o.first, &o.last, &o.n)
		gone = append(gone, o)
		return err
	}); err != nil {
		return fmt.Errorf("look through sync.drift: %w", err)
	}
	if err := tx.change(ctx, "sync.drift", `DELETE FROM sync.drift`, named, erased); err != nil {
		return err
	}
	for _, o := range gone {
		if err := tx.addSighting(ctx, o.source, erasedField, sighting{first: o.first.Time, last: o.last.Time, n: o.n}); err != nil {
			return fmt.Errorf("erase from sync.drift: %w", err)
		}
	}
	return nil
}

func (tx *Tx) eraseErrors(ctx context.Context, e Elsewhere, erased Erased) error {
	for _, c := range []struct{ table, column string }{{"sync.runs", "error"}, {"sync.windows", "error"}, {"sync.sources", "reason"}} {
		found, err := tx.holding(ctx, c.table, e.Holds, c.column)
		if err != nil {
			return err
		}
		if err := tx.change(ctx, c.table, `UPDATE `+c.table+` SET `+c.column+` = $1`, found, erased, erasedError); err != nil {
			return err
		}
	}
	return nil
}

// erasePositions puts open windows whose position tells what must go back to their starts, and takes out what is kept of ids that tell it: then the count
// of their window does not agree, and it is read once more.
func (tx *Tx) erasePositions(ctx context.Context, e Elsewhere, erased Erased) error {
	found, err := tx.holding(ctx, "sync.windows", e.Holds, "position")
	if err != nil {
		return err
	}
	if len(found) > 0 {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sync.window_ids WHERE window_id IN (SELECT window_id FROM sync.windows WHERE `+numbered(found)+`)`); err != nil {
			return fmt.Errorf("erase from sync.window_ids: %w", err)
		}
	}
	if err := tx.change(ctx, "sync.windows", `UPDATE sync.windows SET position = NULL, pages = 0, total = NULL, read_at = NULL`, found, erased); err != nil {
		return err
	}
	for _, id := range e.IDs {
		result, err := tx.ExecContext(ctx, `DELETE FROM sync.window_ids WHERE id_hash = $1::UBIGINT`, fmt.Sprint(xxh3.HashString(id)))
		if err != nil {
			return fmt.Errorf("erase from sync.window_ids: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("erase from sync.window_ids: %w", err)
		}
		erased["sync.window_ids"] += n
	}
	return nil
}

// UnknownNumbers counts the calls whose numbers were stored so that nobody can tell whose they are: masked, and as hashes.
func (tx *Tx) UnknownNumbers(ctx context.Context) (masked, hashed int64, err error) {
	err = tx.w.conn.QueryRowContext(ctx, `SELECT count(*) FILTER (n LIKE '***%'), count(*) FILTER (n LIKE 'tel\_%' ESCAPE '\')
		FROM (SELECT concat_ws(' ', from_number, to_number, customer_number) AS n FROM calls)`).Scan(&masked, &hashed)
	if err != nil {
		return 0, 0, fmt.Errorf("count the calls whose numbers are not told: %w", err)
	}
	return masked, hashed, nil
}

// PayloadsOf are the payloads of calls of a source, of every part.
func (tx *Tx) PayloadsOf(ctx context.Context, source string, ids []string) (map[string]map[call.Part]StoredPart, error) {
	refs := make([]Ref, len(ids))
	for i, id := range ids {
		refs[i] = Ref{ID: id}
	}
	return tx.StoredParts(ctx, source, refs)
}
