package load

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// row is a row on its way to DuckDB, value by value in the order of its table's columns. One row is used for all of a table: of what is
// appended, as much memory would be taken for the boxes of the values as for the values.
type row struct {
	values []driver.Value
	words  map[string]driver.Value
}

// text adds a text; "" is NULL.
func (r *row) text(s string) {
	if s == "" {
		r.values = append(r.values, nil)
		return
	}
	r.full(s)
}

// full adds a text that is never NULL. The driver would copy a string into bytes first; it only reads what it is given, and so it is given the
// string's own.
func (r *row) full(s string) {
	r.values = append(r.values, unsafe.Slice(unsafe.StringData(s), len(s))) //nolint:gosec // the driver copies it into DuckDB's memory at once
}

// word adds a text of which there are few in a table, and of which each is boxed once; "" is NULL.
func (r *row) word(s string) {
	if s == "" {
		r.values = append(r.values, nil)
		return
	}
	boxed, ok := r.words[s]
	if !ok {
		if len(r.words) >= maxWords {
			clear(r.words)
		}
		boxed = []byte(s)
		r.words[s] = boxed
	}
	r.values = append(r.values, boxed)
}

// maxWords bounds what is kept of a column that has more of them than was thought.
const maxWords = 1000

// time adds an instant; nil is NULL.
func (r *row) time(t *time.Time) {
	if t == nil {
		r.values = append(r.values, nil)
		return
	}
	r.values = append(r.values, *t)
}

// count adds a whole number; nil is NULL.
func (r *row) count(n *int64) {
	if n == nil {
		r.values = append(r.values, nil)
		return
	}
	r.values = append(r.values, *n)
}

// truth adds a boolean; nil is NULL.
func (r *row) truth(b *bool) {
	if b == nil {
		r.values = append(r.values, nil)
		return
	}
	r.values = append(r.values, *b)
}

// amount adds money; nil is NULL. A DECIMAL(18,9) is kept as a count of billionths, which is what the driver takes a whole number for: a float
// 0.1 would silently become 0.
func (r *row) amount(a *call.Amount) {
	if a == nil {
		r.values = append(r.values, nil)
		return
	}
	r.values = append(r.values, int64(*a))
}

// add adds any other values as they are.
func (r *row) add(values ...driver.Value) { r.values = append(r.values, values...) }

// appendRows writes rows to a table through DuckDB's appender, within the transaction. One at a time: what an appender has gathered is taken into
// the transaction as a query of its own.
func (tx *Tx) appendRows(catalog, schema, table string, n int, fill func(r *row, i int)) error {
	if n == 0 {
		return nil
	}
	err := tx.w.conn.Raw(func(dc any) error {
		a, err := duckdb.NewAppender(dc.(driver.Conn), catalog, schema, table)
		if err != nil {
			return err
		}
		r := row{words: make(map[string]driver.Value)}
		for i := range n {
			r.values = r.values[:0]
			fill(&r, i)
			if err := a.AppendRow(r.values...); err != nil {
				return errors.Join(err, a.Close())
			}
		}
		return a.Close()
	})
	if err != nil {
		return fmt.Errorf("append to %s: %w", table, err)
	}
	return nil
}
