// Package prooftest holds warehouses against their promises in the tests of other packages.
//
// It owns how a test asks: of an open warehouse, of a file that nobody writes, of two files that should say the same. What is asked is package
// proof's. It refuses to change a file: it opens one read-only, and what a killed process left in the log beside it is read with it and left there.
package prooftest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"syncd/internal/load"
	"syncd/internal/proof"
)

// Warehouse fails the test for each statement that does not hold in an open warehouse. It looks within one transaction, and writers wait.
func Warehouse(t testing.TB, w *load.Warehouse, o proof.Options) {
	t.Helper()
	err := w.Write(context.WithoutCancel(t.Context()), func(tx *load.Tx) error {
		findings, err := proof.Check(t.Context(), tx, o)
		for _, f := range findings {
			t.Error(f)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// File fails the test for each statement that does not hold in a file that no process has open.
func File(t testing.TB, path string, o proof.Options) {
	t.Helper()
	w, err := open(t, path)
	if err != nil {
		t.Error(err)
		return
	}
	defer closed(t, w)
	Warehouse(t, w, o)
}

// small is the size up to which planning a question takes longer than to answer it: the plans are not bettered then, and no thread waits for another.
const small = 16 << 20

// open opens a file to read it.
func open(t testing.TB, path string) (*load.Warehouse, error) {
	t.Helper()
	w, err := load.OpenReadOnly(t.Context(), path)
	if err != nil {
		return nil, err
	}
	file, err := os.Stat(path)
	if err == nil && file.Size() <= small {
		err = w.Write(t.Context(), func(tx *load.Tx) error {
			_, err := tx.ExecContext(t.Context(), `PRAGMA disable_optimizer; SET threads = 1`)
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func closed(t testing.TB, w *load.Warehouse) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// Table is what of a table is the same wherever the same calls were read, whenever and in however many steps.
type Table struct{ name, query string }

// Revisions are the changes of calls. This table and the next two say more of how a warehouse came to be: they are the same where the provider
// did not change while it was read, or the same changes were seen.
func Revisions() Table {
	return Table{"call_revisions", `SELECT * EXCLUDE (changed_at) REPLACE (CASE WHEN field <> 'deleted_at' THEN old_value END AS old_value,
		CASE WHEN field <> 'deleted_at' THEN new_value END AS new_value) FROM call_revisions`}
}

// Rejects are the records that could not become calls.
func Rejects() Table {
	return Table{"sync.rejects", `SELECT * EXCLUDE (run_id, fetched_at, resolved_at) FROM sync.rejects`}
}

// Drift is how often each oddity was met.
func Drift() Table {
	return Table{"sync.drift", `SELECT source, path, occurrences FROM sync.drift`}
}

// signed is what Voicy signs anew at every request.
const signed = `'expires=\d+&signature=[0-9a-f]+', 'signed'`

// calls are the tables that analysts ask, without the numbers and times of readings.
func calls() []Table {
	return []Table{
		{"calls", `SELECT * EXCLUDE (revision, first_seen_at, changed_at) REPLACE (deleted_at IS NOT NULL AS deleted_at,
			regexp_replace(recording_url, ` + signed + `) AS recording_url) FROM calls`},
		{"call_costs", `FROM call_costs`},
		{"call_messages", `FROM call_messages`},
		{"call_functions", `FROM call_functions`},
		{"raw_calls", `SELECT * EXCLUDE (fetched_at, reading) REPLACE (regexp_replace(payload, ` + signed + `) AS payload) FROM raw_calls`},
	}
}

// Same fails the test where two files do not say the same of calls, and of what else is named: row by row, without what tells when and how
// often they were read. It shows the first rows that differ.
func Same(t testing.TB, got, want string, more ...Table) {
	t.Helper()
	a, err := open(t, got)
	if err != nil {
		t.Error(err)
		return
	}
	defer closed(t, a)
	b, err := open(t, want)
	if err != nil {
		t.Error(err)
		return
	}
	defer closed(t, b)
	if err := a.Write(t.Context(), func(x *load.Tx) error {
		return b.Write(t.Context(), func(y *load.Tx) error {
			for _, table := range append(calls(), more...) {
				diff, err := compare(t.Context(), x, y, table)
				if err != nil {
					return fmt.Errorf("compare %s: %w", table.name, err)
				}
				if diff != "" {
					t.Errorf("%s differs (-want +got):\n%s", table.name, diff)
				}
			}
			return nil
		})
	}); err != nil {
		t.Error(err)
	}
}

// compare returns the first rows in which two files differ; "" where they do not. Digests tell that of large tables quickly.
func compare(ctx context.Context, got, want proof.Querier, table Table) (string, error) {
	digest := `SELECT count(*)::VARCHAR, coalesce(sum(hash(t))::VARCHAR, '') FROM (` + table.query + `) AS t`
	a, err := read(ctx, got, digest)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := read(ctx, want, digest)
	if err != nil {
		return "", err
	}
	defer b.Close()
	if a.row == b.row {
		return "", nil
	}
	return differences(ctx, got, want, `SELECT t::VARCHAR FROM (`+table.query+`) AS t ORDER BY 1`)
}

// shownRows and shownBytes bound what is shown of a difference.
const (
	shownRows  = 6
	shownBytes = 1500
)

// differences goes through the sorted rows of both side by side.
func differences(ctx context.Context, got, want proof.Querier, query string) (_ string, err error) {
	a, err := read(ctx, got, query)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := read(ctx, want, query)
	if err != nil {
		return "", err
	}
	defer b.Close()
	var out strings.Builder
	for n := 0; a.more || b.more; {
		switch {
		case a.more && b.more && a.row == b.row:
			err = errors.Join(a.next(), b.next())
		case n == shownRows:
			return out.String() + "…\n", nil
		case !b.more || a.more && a.row < b.row:
			n++
			fmt.Fprintf(&out, "+ %s\n", short(a.row))
			err = a.next()
		default:
			n++
			fmt.Fprintf(&out, "- %s\n", short(b.row))
			err = b.next()
		}
		if err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

func short(row string) string {
	if len(row) <= shownBytes {
		return row
	}
	return row[:shownBytes] + "…"
}

// cursor stands on a row of an answer, which is text.
type cursor struct {
	*sql.Rows
	row  string
	more bool
}

func read(ctx context.Context, q proof.Querier, query string) (*cursor, error) {
	rows, err := q.QueryContext(ctx, query) //nolint:rowserrcheck // the cursor does
	if err != nil {
		return nil, err
	}
	c := &cursor{Rows: rows}
	if err := c.next(); err != nil {
		return nil, errors.Join(err, rows.Close()) //nolint:sqlclosecheck // whoever gets a cursor closes it
	}
	return c, nil
}

func (c *cursor) next() error {
	c.row, c.more = "", c.Next()
	if !c.more {
		return c.Err()
	}
	columns, err := c.Columns()
	if err != nil {
		return err
	}
	values, to := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		to[i] = &values[i]
	}
	if err := c.Scan(to...); err != nil {
		return err
	}
	for _, v := range values {
		c.row += v.String
	}
	return nil
}
